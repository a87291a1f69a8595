package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"offboard/input"
	"offboard/runner"
)

// listFlags say how a list is read and what it may do.
type listFlags struct {
	format, onBadRow, rejects, ambiguous string
	includeNotOnboarded, resolve         bool
	comment, ticket                      string
	max, expect                          int
	yes, dryRun                          bool
}

func (f *listFlags) bind(fs *pflag.FlagSet) {
	f.bindList(fs)
	fs.BoolVar(&f.yes, "yes", false, "do not ask for confirmation")
	fs.BoolVar(&f.dryRun, "dry-run", false, "check everything and send nothing, whatever the other flags say")
}

// bindList is bind for a command that sends nothing.
func (f *listFlags) bindList(fs *pflag.FlagSet) {
	fs.StringVar(&f.format, "format", "auto", "read the list as `format`: auto, csv, json, ndjson, plain")
	fs.StringVar(&f.onBadRow, "on-bad-row", "refuse", "refuse the list, or skip bad rows and count them")
	fs.StringVar(&f.rejects, "rejects", "", "write every bad row to this CSV `file`")
	fs.BoolVar(&f.includeNotOnboarded, "include-not-onboarded", false, "send machines too whose status in the list is not Onboarded")
	fs.BoolVar(&f.resolve, "resolve", false, "look rows without an id up in the tenant's inventory, by name or Entra device id")
	fs.StringVar(&f.ambiguous, "ambiguous", string(runner.RefuseAmbiguous), "when several machines match a row: refuse, newest or all")
	fs.StringVar(&f.comment, "comment", "", "why: goes with every request and stays with the action (required, unless the list has a comment column)")
	fs.StringVar(&f.ticket, "ticket", "", "change ticket `ID`: stays with the campaign and begins the comment unless it names it")
	fs.IntVar(&f.max, "max", 0, "refuse when more than `N` machines would be sent; required for a portal export")
	fs.IntVar(&f.expect, "expect", anyNumber, "refuse unless exactly `N` machines would be sent (those in doubt not counted)")
	fs.Lookup("expect").DefValue = ""
}

func (f *listFlags) validate() error {
	switch {
	case f.onBadRow != "refuse" && f.onBadRow != "skip":
		return usageError("--on-bad-row %q is not refuse or skip", f.onBadRow)
	case f.ambiguous != "refuse" && f.ambiguous != "newest" && f.ambiguous != "all":
		return usageError("--ambiguous %q is not refuse, newest or all", f.ambiguous)
	case f.max < 0:
		return usageError("--max %d is negative", f.max)
	case f.expect < 0 && f.expect != anyNumber:
		return usageError("--expect %d is negative", f.expect)
	}
	return validateTicket(f.ticket)
}

// anyNumber is --expect when it was not given.
const anyNumber = math.MinInt

// spareList refuses to write the rejects over the list.
func (f *listFlags) spareList(path string) error {
	list, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // standard input, or told of when it is read
	}
	if rejects, err := os.Stat(f.rejects); err == nil && os.SameFile(list, rejects) {
		return usageError("--rejects %s is the list itself", f.rejects)
	}
	return nil
}

// readList reads and validates the whole list before anything else happens.
func (a *app) readList(ctx context.Context, path string, f *listFlags) (*input.List, error) {
	format, err := input.ParseFormat(f.format)
	if err != nil {
		return nil, usageError("--format: %w", err)
	}
	if err := f.spareList(path); err != nil {
		return nil, err
	}
	rejects := &lazyFile{path: f.rejects}
	options := input.Options{
		Format: format, SkipBadRows: f.onBadRow == "skip", IncludeNotOnboarded: f.includeNotOnboarded,
		Resolve: f.resolve, Stdin: a.env.stdin,
	}
	if f.rejects != "" && !f.dryRun {
		options.Rejects = rejects
	}
	list, err := input.Read(ctx, path, options)
	if closing := rejects.Close(); err == nil && closing != nil {
		err = fmt.Errorf("--rejects: %w", closing)
	}
	if err != nil {
		return nil, err
	}
	a.describeList(list)
	return list, nil
}

func (a *app) describeList(l *input.List) {
	a.log.Info().Str("list", l.Path).Str("format", l.Format.String()).Str("sha256", l.SHA256).
		Int("machines", l.Machines.Len()).Int("duplicates", l.Duplicates).Int("bad_rows", l.BadRows).
		Int("not_onboarded", len(l.NotOnboarded)).Int("to_resolve", len(l.Unresolved)).Msg("list read")
	for _, row := range l.Bad {
		a.log.Warn().Msg("skipped: " + row.String())
	}
	a.nameLeftOut(l.NotOnboarded)
}

// nameLeftOut names machines that the list says have no sensor to stop.
func (a *app) nameLeftOut(machines []input.Machine) {
	for _, m := range machines {
		a.log.Warn().Str("machine_id", m.ID).Str("name", m.Name).Int("line", m.Line).Msg("left out, not onboarded")
	}
}

// resolveRows gives ids to the rows that have none.
func (s *session) resolveRows(ctx context.Context, l *input.List, f *listFlags) error {
	unknown := slices.IndexFunc(l.NotOnboarded, func(m input.Machine) bool { return m.ID == "" })
	if len(l.Unresolved) == 0 && unknown < 0 {
		return nil
	}
	if err := s.openLists(); err != nil {
		return err
	}
	a := s.app
	found, err := s.directory.Resolve(ctx, l.Unresolved, runner.Ambiguous(f.ambiguous), f.includeNotOnboarded)
	if err != nil {
		return err
	}
	if unknown >= 0 {
		if err := s.resolveLeftOut(ctx, l, &found); err != nil {
			return err
		}
	}
	if err := a.refuseUnresolved(l, found, f); err != nil {
		return err
	}
	a.nameLeftOut(mergeResolved(l, found))
	return nil
}

// resolveLeftOut gives ids to the rows that the list itself leaves out: the
// journal keeps those machines too. All records that match are left out.
func (s *session) resolveLeftOut(ctx context.Context, l *input.List, found *runner.Resolved) error {
	var rows []input.Machine
	l.NotOnboarded = slices.DeleteFunc(l.NotOnboarded, func(m input.Machine) bool {
		if m.ID == "" {
			rows = append(rows, m)
		}
		return m.ID == ""
	})
	out, err := s.directory.Resolve(ctx, rows, runner.AllAmbiguous, true)
	found.NotOnboarded = append(found.NotOnboarded, out.Machines...)
	found.Unmatched = append(found.Unmatched, out.Unmatched...)
	return err
}

// mergeResolved adds the rows that were given ids to the list, each machine
// once, and returns those that the inventory says are not onboarded. It knows
// better than a row that says nothing of it, so such a machine is left out even
// if another row has its id.
func mergeResolved(l *input.List, found runner.Resolved) (leftOut []input.Machine) {
	var place input.IDs
	for m := range l.Machines.All() {
		place.Add(m.ID)
	}
	dropped := map[string]bool{}
	for _, m := range l.NotOnboarded {
		dropped[m.ID] = true
	}
	for _, m := range found.NotOnboarded {
		if dropped[m.ID] {
			l.Duplicates++
			continue
		}
		dropped[m.ID] = true
		leftOut = append(leftOut, m)
	}
	l.Machines = l.Machines.Select(func(m input.Machine) bool {
		if dropped[m.ID] {
			l.Duplicates++
		}
		return !dropped[m.ID]
	})
	for _, m := range found.Machines {
		if place.Has(m.ID) || dropped[m.ID] {
			l.Duplicates++
			continue
		}
		place.Add(m.ID)
		l.Machines.Add(m)
	}
	l.NotOnboarded = append(l.NotOnboarded, leftOut...)
	l.Unresolved = nil
	return leftOut
}

// refuseUnresolved reports rows that no machine or too many machines match.
// They are bad rows like any other.
func (a *app) refuseUnresolved(l *input.List, found runner.Resolved, f *listFlags) error {
	hint := "--on-bad-row skip goes on without them"
	if len(found.Ambiguous) > 0 {
		hint = "--ambiguous newest or all takes them; " + hint
	}
	bad := unresolved(l.Path, found)
	if len(bad) == 0 {
		return nil
	}
	if f.rejects != "" && !f.dryRun {
		if err := addRejects(f.rejects, bad); err != nil {
			return fmt.Errorf("--rejects: %w", err)
		}
	}
	if f.onBadRow != "skip" {
		return &commandError{code: exitUsage, hint: hint, err: &input.BadRowsError{
			File: l.Path, Rows: bad[:min(len(bad), input.MaxReported)], Total: len(bad),
		}}
	}
	l.BadRows += len(bad)
	for _, row := range bad[:min(len(bad), input.MaxReported)] {
		a.log.Warn().Msg("skipped: " + row.String())
	}
	return nil
}

func unresolved(list string, found runner.Resolved) (bad []input.BadRow) {
	for _, row := range found.Unmatched {
		bad = append(bad, input.BadRow{File: list, Line: row.Line,
			Reason: fmt.Sprintf("no machine in the inventory matches %q", strings.TrimSpace(row.Name+" "+row.AADDeviceID))})
	}
	for _, row := range found.Ambiguous {
		bad = append(bad, input.BadRow{File: list, Line: row.Row.Line, Reason: row.String()})
	}
	slices.SortStableFunc(bad, func(x, y input.BadRow) int { return x.Line - y.Line })
	return bad
}

// addRejects adds bad rows to the file that the list's own went to.
func addRejects(path string, bad []input.BadRow) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(input.AppendRejects(file, bad), file.Close())
}

// lazyFile is created or emptied at the first write: when the list was opened,
// and not before.
type lazyFile struct {
	path string
	file *os.File
}

func (l *lazyFile) Write(p []byte) (int, error) {
	if l.file == nil {
		file, err := os.OpenFile(l.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator names it
		if err != nil {
			return 0, err
		}
		l.file = file
	}
	return l.file.Write(p)
}

func (l *lazyFile) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
