package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offboard/input"
	"offboard/internal/failpoint"
	"offboard/journal"
	"offboard/runner"
)

type runFlags struct {
	campaignFlags
	listFlags
	guardFlags
	retryFlags
	waveFlags
	planRunFlags
	reportFlag
	dashboardFlags
	metricsFlags

	planned *planned // nil: a list is run
	survey  bool     // the inventory is read whatever the rules ask
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run LIST | --plan FILE",
		Short: "Offboard every machine on a list",
		Long: `Offboards every machine on a list, at most once each. LIST is a file with CSV,
JSON, NDJSON, an OData or advanced-hunting reply, or one id a line; .gz is read
as it is, and - is standard input.

Run again with the same campaign it goes on where it ended; with a changed list,
the new list wins. What has ended stays so, unless --retry or --again says
otherwise; each is a person's word for one more attempt.

With --plan it carries out what 'offboard plan' has written, after it has looked
at every machine again: one that has changed so that the plan would be another is
refused, and none is ever added.`,
		Example: `  offboard run retired.csv --comment "CHG-4711 retired laptops"
  offboard run retired.csv --comment "CHG-4711 retired laptops" --dry-run
  offboard run --plan plan.json
  offboard run retired.csv --comment "CHG-4711 retired laptops" --retry failed,timed_out
  offboard run --retry failed,timed_out --retry-of retired --campaign second-try
  offboard run back.csv --comment "CHG-4712 back" --again --reason "onboarded again"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.measure(a); err != nil {
				return err
			}
			if f.planPath != "" {
				return a.runPlan(cmd, args, &f)
			}
			if err := f.listArgs(cmd, args); err != nil {
				return err
			}
			return a.runList(cmd, strings.Join(args, ""), &f)
		},
	}
	f.campaignFlags.bind(cmd.Flags())
	f.listFlags.bind(cmd.Flags())
	f.guardFlags.bind(cmd.Flags())
	f.retryFlags.bind(cmd.Flags())
	f.waveFlags.bind(cmd.Flags())
	f.planRunFlags.bind(cmd.Flags())
	f.reportFlag.bind(cmd.Flags())
	f.dashboardFlags.bind(cmd.Flags())
	f.metricsFlags.bind(cmd.Flags())
	return cmd
}

func (f *runFlags) validate(listPath string) error {
	switch {
	case f.campaign == "" && f.of != "":
		f.campaign = f.of + "-retry"
	case f.campaign == "":
		f.campaign = runner.CampaignName(listPath)
	}
	return errors.Join(f.campaignFlags.validate(), f.listFlags.validate(), f.guardFlags.validate(), f.retryFlags.validate(), f.waveFlags.validate(),
		f.planRunFlags.validate(), f.reportFlag.validate(), runner.ValidateCampaignName(f.campaign))
}

func (a *app) runList(cmd *cobra.Command, path string, f *runFlags) error {
	ctx := cmd.Context()
	if err := f.validate(path); err != nil {
		return err
	}
	if _, err := a.inForce(ctx); err != nil {
		return err
	}
	list := &input.List{Path: "campaign " + f.of} // the journal has it
	if f.of == "" {
		var err error
		if list, err = a.readList(ctx, path, &f.listFlags); err != nil {
			return err
		}
	}
	return a.runMachines(cmd, list, f)
}

func (a *app) runMachines(cmd *cobra.Command, list *input.List, f *runFlags) error {
	ctx := cmd.Context()
	if f.dryRun {
		return a.dryRun(ctx, list, f)
	}
	if _, err := a.budget(ctx, &f.budgetFlags, time.Now()); err != nil {
		return err
	}
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{}, true)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.pageAt(ctx, &f.dashboardFlags); err != nil {
		return err
	}
	p, err := s.plan(ctx, list, f)
	if err != nil {
		return err
	}
	if err := p.check(list, f); err != nil {
		return err
	}
	a.showWaves(p)
	if err := a.confirm(ctx, p.preview, f); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	s.reportTo, s.given.Overrides = f.report, overridesOf(cmd.Flags())
	if s.given.Excludes, err = a.excludedBy(p.rules.guardRules); err != nil {
		return err
	}
	campaign, err := s.enlist(list, p, f)
	if err != nil {
		return err
	}
	// If we crash here, the machines are as they had ended, and the same command
	// authorises them.
	if err := s.authorise(campaign, p, f); err != nil {
		return err
	}
	// A list may be most of the memory, and is in the journal now: what comes next
	// need not be had beside it.
	runtime.GC()
	return s.carryOut(ctx, campaign, resumeCommand(cmd, f.campaign, s.journal.Path()))
}

// enlist writes the campaign and its machines to the journal.
func (s *session) enlist(list *input.List, p plan, f *runFlags) (*journal.Campaign, error) {
	encoded, err := json.Marshal(p.rules)
	if err != nil {
		return nil, err
	}
	c := p.existing
	if c == nil {
		c, err = s.journal.StartCampaign(journal.Info{Name: f.campaign, Comment: p.comment, Rules: encoded})
	} else {
		err = c.Update(func(i *journal.Info) error {
			// The list may have machines that nobody has compared with the
			// tenant yet. If we crash here, what is planned was judged by
			// earlier rules, and is not to be resumed.
			i.Comment, i.Rules, i.TenantRead, i.Enlisted = p.comment, encoded, time.Time{}, false
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.CampaignStarted)
	done, err := c.Enlist(enlistment(list, p))
	if err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.ListEnlisted)
	s.app.log.Info().Str("campaign", f.campaign).Int("added", done.Added).Int("refreshed", done.Refreshed).
		Int("excluded", done.Excluded).Int("returned", done.Returned).Int("unchanged", done.Unchanged).Msg("list enlisted")
	return c, nil
}

// enlistment is the list as the journal takes it: in the order of the ids, so that
// nobody has to sort a million machines.
func enlistment(list *input.List, p plan) journal.Enlistment {
	listed := list.Machines.Len()
	all := list.Machines.With(slices.Collect(p.omittedMachines())...)
	sorted := all.ByID()
	return journal.Enlistment{
		List: journal.ListInfo{
			Path: list.Path, SHA256: list.SHA256, Duplicates: list.Duplicates, BadRows: list.BadRows, Machines: all.Len(),
		},
		Columns: list.Columns,
		Machines: func(yield func(journal.Machine) bool) {
			for i, m := range sorted {
				exclude := ""
				if i >= listed {
					exclude = p.leftOut[i-listed].reason
				}
				if !yield(p.listed(m, i, exclude)) {
					return
				}
			}
		},
	}
}

// listed is the machine at a place of the list, from 0 on, as the journal takes it.
func (p plan) listed(m input.Machine, at int, exclude string) journal.Machine {
	return journal.Machine{
		ID: m.ID, Name: m.Name, Comment: ticketed(m.Comment, p.rules.Ticket), Carried: m.Carried, Exclude: exclude,
		Row: cmp.Or(p.rows[m.ID], at+1),
	}
}
