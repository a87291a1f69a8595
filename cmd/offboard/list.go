package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"offboard/input"
	"offboard/runner"
)

// listFlags say how a list is read and what it may do.
type listFlags struct {
	format, onBadRow, rejects, ambiguous string
	includeNotOnboarded, resolve         bool
	comment                              string
	max, expect                          int
	yes, dryRun                          bool
}

func (f *listFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.format, "format", "auto", "read the list as `format`: auto, csv, json, ndjson, plain")
	fs.StringVar(&f.onBadRow, "on-bad-row", "refuse", "refuse the list, or skip bad rows and count them")
	fs.StringVar(&f.rejects, "rejects", "", "write every bad row to this CSV `file`")
	fs.BoolVar(&f.includeNotOnboarded, "include-not-onboarded", false, "send machines too whose status in the list is not Onboarded")
	fs.BoolVar(&f.resolve, "resolve", false, "look rows without an id up in the tenant's inventory, by name or Entra device id")
	fs.StringVar(&f.ambiguous, "ambiguous", string(runner.RefuseAmbiguous), "when several machines match a row: refuse, newest or all")
	fs.StringVar(&f.comment, "comment", "", "why: goes with every request and stays with the action (required, unless the list has a comment column)")
	fs.IntVar(&f.max, "max", 0, "refuse when more than `N` machines would be sent; required for a portal export")
	fs.IntVar(&f.expect, "expect", -1, "refuse unless exactly `N` machines would be sent (those in doubt not counted)")
	fs.BoolVar(&f.yes, "yes", false, "do not ask for confirmation")
	fs.BoolVar(&f.dryRun, "dry-run", false, "check everything and send nothing, whatever the other flags say")
}

func (f *listFlags) validate() error {
	switch {
	case f.onBadRow != "refuse" && f.onBadRow != "skip":
		return usageError("--on-bad-row %q is not refuse or skip", f.onBadRow)
	case f.ambiguous != "refuse" && f.ambiguous != "newest" && f.ambiguous != "all":
		return usageError("--ambiguous %q is not refuse, newest or all", f.ambiguous)
	case f.max < 0:
		return usageError("--max %d is negative", f.max)
	}
	return nil
}

// readList reads and validates the whole list before anything else happens.
func (a *app) readList(ctx context.Context, path string, f *listFlags) (*input.List, error) {
	format, err := input.ParseFormat(f.format)
	if err != nil {
		return nil, usageError("--format: %w", err)
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
		Int("machines", len(l.Machines)).Int("duplicates", l.Duplicates).Int("bad_rows", l.BadRows).
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
	if len(l.Unresolved) == 0 {
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
	if err := a.refuseUnresolved(l, found, f); err != nil {
		return err
	}
	known := make(map[string]bool, len(l.Machines))
	for _, m := range l.Machines {
		known[m.ID] = true
	}
	for _, m := range found.Machines {
		if known[m.ID] {
			l.Duplicates++
			continue
		}
		known[m.ID] = true
		l.Machines = append(l.Machines, m)
	}
	l.NotOnboarded = append(l.NotOnboarded, found.NotOnboarded...)
	l.Unresolved = nil
	a.nameLeftOut(found.NotOnboarded)
	return nil
}

// refuseUnresolved reports rows that no machine or too many machines match.
// They are bad rows like any other.
func (a *app) refuseUnresolved(l *input.List, found runner.Resolved, f *listFlags) error {
	var lines []string
	hint := "--on-bad-row skip goes on without them"
	if len(found.Ambiguous) > 0 {
		hint = "--ambiguous newest or all takes them; " + hint
	}
	for _, row := range found.Unmatched {
		lines = append(lines, fmt.Sprintf("line %d: no machine in the inventory matches %q", row.Line, strings.TrimSpace(row.Name+" "+row.AADDeviceID)))
	}
	for _, row := range found.Ambiguous {
		lines = append(lines, row.String())
	}
	if len(lines) == 0 {
		return nil
	}
	if f.onBadRow != "skip" {
		return &commandError{
			code: exitUsage, hint: hint,
			err: fmt.Errorf("%s could not be resolved:\n%s", plural(len(lines), "row"), strings.Join(lines, "\n")),
		}
	}
	l.BadRows += len(lines)
	for _, line := range lines {
		a.log.Warn().Msg("skipped: " + line)
	}
	return nil
}

// lazyFile is created at the first write, so that a list without bad rows
// leaves no empty file behind.
type lazyFile struct {
	path string
	file *os.File
}

func (l *lazyFile) Write(p []byte) (int, error) {
	if l.file == nil {
		file, err := os.OpenFile(l.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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
