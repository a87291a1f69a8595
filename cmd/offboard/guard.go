package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"offboard/defender"
	"offboard/input"
	"offboard/runner"
)

// guardFlags are the rules that a machine has to pass. They only ever leave
// machines out.
type guardFlags struct {
	exclude, where           []string
	requireTags, excludeTags []string
	os, groups               []string
	onlyInactive             string
	includeServers           bool
	maxPercent               float64
}

func (f *guardFlags) bind(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.exclude, "exclude", nil, "leave out what this `list` names, by id or name; may be repeated (OFFBOARD_PROTECTED names one more)")
	fs.StringArrayVar(&f.where, "where", nil, "send only rows with `COLUMN=VALUE[,VALUE]`; may be repeated")
	fs.StringArrayVar(&f.requireTags, "require-tag", nil, "send only machines with this `tag`; may be repeated")
	fs.StringArrayVar(&f.excludeTags, "exclude-tag", nil, "leave out machines with this `tag`; may be repeated")
	fs.StringArrayVar(&f.os, "os", nil, "send only this OS `platform`, such as Windows10; may be repeated")
	fs.StringArrayVar(&f.groups, "group", nil, "send only machines of this device `group`; may be repeated")
	fs.StringVar(&f.onlyInactive, "only-inactive", "", "send only machines that were not seen for this `time`, such as 90d")
	fs.BoolVar(&f.includeServers, "include-servers", false, "send servers too; they are left out where the list or the inventory tells")
	fs.Float64Var(&f.maxPercent, "max-percent-of-tenant", 0, "refuse when more than `P` percent of the tenant's onboarded machines would be sent")
}

func (f *guardFlags) validate() error {
	if _, err := parseConditions(f.where); err != nil {
		return err
	}
	if f.maxPercent < 0 || f.maxPercent > 100 {
		return usageError("--max-percent-of-tenant %g is not 0 to 100", f.maxPercent)
	}
	_, err := parseDays(f.onlyInactive)
	return err
}

// guardRules are the flags as a campaign keeps them. Files are kept by their path.
func (f *guardFlags) guardRules() (guardRules, error) {
	r := guardRules{
		Where: f.where, RequireTags: f.requireTags, ExcludeTags: f.excludeTags, OS: f.os, Groups: f.groups,
		OnlyInactive: f.onlyInactive, IncludeServers: f.includeServers, MaxPercent: f.maxPercent,
	}
	for _, path := range f.exclude {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return r, err
		}
		r.Exclude = append(r.Exclude, absolute)
	}
	return r, nil
}

// guardRules are the guard's part of a campaign's rules.
type guardRules struct {
	Exclude        []string `json:"exclude,omitempty"`
	Where          []string `json:"where,omitempty"`
	RequireTags    []string `json:"require_tags,omitempty"`
	ExcludeTags    []string `json:"exclude_tags,omitempty"`
	OS             []string `json:"os,omitempty"`
	Groups         []string `json:"groups,omitempty"`
	OnlyInactive   string   `json:"only_inactive,omitempty"`
	IncludeServers bool     `json:"include_servers,omitempty"`
	MaxPercent     float64  `json:"max_percent_of_tenant,omitempty"`
}

// tightened combines the campaign's rules with those of this run's flags: what
// was asked for stays asked for.
func (r guardRules) tightened(now guardRules) (guardRules, error) {
	if now.IncludeServers && !r.IncludeServers {
		return r, usageError("the campaign was begun without --include-servers; a later run may only tighten its rules")
	}
	if r.MaxPercent > 0 && now.MaxPercent > r.MaxPercent {
		return r, usageError("the campaign was begun with --max-percent-of-tenant %g; a later run may only tighten it", r.MaxPercent)
	}
	if now.MaxPercent == 0 {
		now.MaxPercent = r.MaxPercent
	}
	var err1, err2 error
	now.OS, err1 = narrowed("--os", r.OS, now.OS)
	now.Groups, err2 = narrowed("--group", r.Groups, now.Groups)
	now.Exclude = union(r.Exclude, now.Exclude)
	now.Where = union(r.Where, now.Where)
	now.RequireTags = union(r.RequireTags, now.RequireTags)
	now.ExcludeTags = union(r.ExcludeTags, now.ExcludeTags)
	before, err3 := parseDays(r.OnlyInactive)
	after, err4 := parseDays(now.OnlyInactive)
	if before > after {
		now.OnlyInactive = r.OnlyInactive
	}
	return now, errors.Join(err1, err2, err3, err4)
}

// narrowed is a choice of which a later run may only take a part.
func narrowed(flag string, begun, now []string) ([]string, error) {
	if len(now) == 0 || len(begun) == 0 {
		return slices.Concat(begun, now), nil
	}
	for _, v := range now {
		if !slices.ContainsFunc(begun, func(b string) bool { return strings.EqualFold(b, v) }) {
			return nil, usageError("the campaign was begun with %s %s, which %s is not among; a later run may only tighten it", flag, strings.Join(begun, ", "), v)
		}
	}
	return now, nil
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// parseConditions reads COLUMN=VALUE,VALUE.
func parseConditions(where []string) (all []runner.Condition, err error) {
	for _, w := range where {
		column, values, ok := strings.Cut(w, "=")
		if column = strings.TrimSpace(column); !ok || column == "" {
			return nil, usageError("--where %q is not COLUMN=VALUE", w)
		}
		all = append(all, runner.Condition{Column: column, Values: strings.Split(values, ",")})
	}
	return all, nil
}

// parseDays reads a duration that may be given in days, as 90d.
func parseDays(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	const most = 3650
	if number, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.Atoi(number)
		if err != nil || days < 1 || days > most {
			return 0, usageError("%q is not 1d to %dd", s, most)
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usageError("%q is no time such as 90d or 36h", s)
	}
	return d, nil
}

// guard makes the rules ready to judge: it reads the files that they name.
func (a *app) guard(ctx context.Context, r guardRules) (runner.Guard, error) {
	g := runner.Guard{
		RequireTags: r.RequireTags, ExcludeTags: r.ExcludeTags, OS: r.OS, Groups: r.Groups, IncludeServers: r.IncludeServers,
	}
	var err error
	if g.Where, err = parseConditions(r.Where); err != nil {
		return g, err
	}
	if g.InactiveFor, err = parseDays(r.OnlyInactive); err != nil {
		return g, err
	}
	for _, path := range a.excludeFiles(r) {
		p, _, err := readProtection(ctx, path)
		if err != nil {
			return g, err
		}
		g.Protected = append(g.Protected, p)
	}
	return g, nil
}

// excludeFiles are the lists of machines to leave out, that of the environment too.
func (a *app) excludeFiles(r guardRules) []string {
	files := slices.Clone(r.Exclude)
	if path := a.env.getenv("OFFBOARD_PROTECTED"); path != "" {
		files = append(files, path)
	}
	return files
}

// readProtection reads a list of machines to leave out, and says what the SHA-256
// of its bytes is. Whatever is wrong with it stops the run: half a list protects
// nobody.
func readProtection(ctx context.Context, path string) (_ runner.Protection, sha256 string, _ error) {
	list, err := input.Read(ctx, path, input.Options{Resolve: true, IncludeNotOnboarded: true})
	if err != nil {
		return runner.Protection{}, "", &commandError{
			code: exitUsage, err: fmt.Errorf("the machines to leave out: %w", err),
			hint: "one id a line, or any list with a column of ids or names; nothing was sent",
		}
	}
	var ids, names []string
	for _, m := range slices.Concat(slices.Collect(list.Machines.All()), list.Unresolved) {
		switch {
		case m.ID != "":
			ids = append(ids, m.ID)
		case m.Name == "":
			return runner.Protection{}, "", usageError("%s: line %d: a machine to leave out is named by its id or name, not by its Entra device id", path, m.Line)
		}
		if m.Name != "" {
			names = append(names, m.Name)
		}
	}
	return runner.Protect(path, ids, names), list.SHA256, nil
}

// guardList takes the machines out of the list that the rules leave out.
func (s *session) guardList(ctx context.Context, l *input.List, p *plan) error {
	g, err := s.app.guard(ctx, p.rules.guardRules)
	if err != nil {
		return err
	}
	for _, c := range g.Where {
		if !l.HasColumn(c.Column) {
			return usageError("--where %s: the list has no such column; it has %s", c.Column, strings.Join(l.Columns, ", "))
		}
	}
	if err := p.policy.lacksColumn(l); err != nil {
		return err
	}
	inventory, err := s.inventoryFor(ctx, l, g, p)
	if err != nil {
		return err
	}
	p.inventory = inventory
	now := time.Now()
	l.Machines = l.Machines.Select(func(m input.Machine) bool {
		row := rowOf(l, m, inventory)
		why := cmp.Or(g.Judge(row, now), p.policy.judge(row, now))
		if why != "" {
			p.leftOut = append(p.leftOut, omitted{m, why})
			s.app.log.Warn().Str("machine_id", m.ID).Str("name", m.Name).Int("line", m.Line).Msg("left out: " + why)
		}
		return why == ""
	})
	return nil
}

func rowOf(l *input.List, m input.Machine, inventory runner.Inventory) runner.Row {
	r := runner.Row{ID: m.ID, Name: m.Name, Value: func(column string) string { return l.Value(m, column) }}
	if record, ok := inventory.Records[m.ID]; ok {
		r.Record = &record
	}
	return r
}

// inventoryFor reads the inventory if a rule cannot be judged without it.
func (s *session) inventoryFor(ctx context.Context, l *input.List, g runner.Guard, p *plan) (runner.Inventory, error) {
	if s.inventory != nil {
		return *s.inventory, nil
	}
	rule := g.NeedsInventory()
	switch {
	case rule != "":
	case p.rules.MaxPercent > 0:
		rule = "--max-percent-of-tenant"
	case p.survey:
		rule = "a plan"
	default:
		rule = p.policy.needsInventory()
	}
	if rule == "" {
		return runner.Inventory{}, nil
	}
	if err := s.openLists(); err != nil {
		return runner.Inventory{}, err
	}
	wanted := idsOf(l.Machines, p.leftOut)
	inventory, err := s.directory.ReadInventory(ctx, func(m defender.Machine) bool { return wanted.Has(m.ID) })
	return inventory, unreadable(err, rule)
}

// unreadable names what needs an inventory that may not be read.
func unreadable(err error, what string) error {
	if !errors.Is(err, runner.ErrInventoryUnread) {
		return err
	}
	return &commandError{
		code: exitSignIn, err: fmt.Errorf("%s needs the inventory: %w", what, err),
		hint: "grant Machine.Read.All; nothing was sent",
	}
}
