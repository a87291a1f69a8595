package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

type runFlags struct {
	campaignFlags
	listFlags
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run LIST",
		Short: "Offboard every machine on a list",
		Long: `Offboards every machine on a list, at most once each. LIST is a file with CSV,
JSON, NDJSON, an OData or advanced-hunting reply, or one id a line; .gz is read
as it is, and - is standard input.

Run again with the same campaign it goes on where it ended; with a changed list,
the new list wins.`,
		Example: `  offboard run retired.csv --comment "CHG-4711 retired laptops"
  offboard run retired.csv --comment "CHG-4711 retired laptops" --dry-run`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runList(cmd, args[0], &f)
		},
	}
	f.campaignFlags.bind(cmd.Flags())
	f.listFlags.bind(cmd.Flags())
	return cmd
}

func (f *runFlags) validate(listPath string) error {
	if f.campaign == "" {
		f.campaign = runner.CampaignName(listPath)
	}
	return errors.Join(f.campaignFlags.validate(), f.listFlags.validate(), runner.ValidateCampaignName(f.campaign))
}

func (a *app) runList(cmd *cobra.Command, path string, f *runFlags) error {
	ctx := cmd.Context()
	if err := f.validate(path); err != nil {
		return err
	}
	list, err := a.readList(ctx, path, &f.listFlags)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.dryRun(ctx, list, f)
	}
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{}, true)
	if err != nil {
		return err
	}
	defer s.close()
	p, err := s.plan(ctx, list, f)
	if err != nil {
		return err
	}
	if err := p.check(list, f); err != nil {
		return err
	}
	if err := a.confirm(ctx, p.preview, f); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	campaign, err := s.enlist(list, p, f)
	if err != nil {
		return err
	}
	return s.carryOut(ctx, campaign, resumeCommand(cmd, f.campaign, s.journal.Path()))
}

// plan is what was decided about a list before anybody is asked.
type plan struct {
	existing *journal.Campaign // nil: a new campaign
	comment  string
	rules    rules
	preview
	// uninformed: the tenant may not be listed, and nobody said that the
	// journal needs no telling of what other hosts did.
	uninformed bool
}

// plan resolves the list and compares it with the campaign's rules, the journal
// and the tenant, and changes none of them.
func (s *session) plan(ctx context.Context, list *input.List, f *runFlags) (plan, error) {
	p := plan{
		comment: strings.TrimSpace(f.comment),
		rules:   rules{Max: f.max, IncludeNotOnboarded: f.includeNotOnboarded, NewJournal: f.newJournal},
	}
	if err := s.resolveRows(ctx, list, &f.listFlags); err != nil {
		return p, err
	}
	if err := s.existing(&p, f.campaign); err != nil {
		return p, err
	}
	var err error
	if p.preview, err = s.preview(ctx, list, f.campaign); err != nil {
		return p, err
	}
	s.app.namePreview(p.preview, f.campaign)
	if p.blind && !p.rules.NewJournal {
		p.rules.NewJournal, err = s.tenantKnown()
		p.uninformed = !p.rules.NewJournal
	}
	return p, err
}

// existing takes comment and rules from the campaign if there is one; this
// run's flags may only tighten them.
func (s *session) existing(p *plan, name string) error {
	c, err := s.campaign(name)
	if err != nil || c == nil {
		return err
	}
	info := c.Info()
	if p.comment != "" && info.Comment != "" && p.comment != info.Comment {
		return usageError("campaign %q was begun with --comment %q, which stays; give --campaign another name for another purpose", info.Name, info.Comment)
	}
	begun, err := rulesOf(info)
	if err != nil {
		return err
	}
	if p.rules, err = begun.tightened(p.rules); err != nil {
		return err
	}
	p.existing = c
	if info.Comment != "" {
		p.comment = info.Comment
	}
	return nil
}

// check refuses a plan that the guards do not allow.
func (p plan) check(list *input.List, f *runFlags) error {
	n := len(p.send)
	switch {
	case p.uninformed:
		return uninformedError(runner.ErrTenantUnread)
	case list.Portal && p.rules.Max == 0:
		return guardError("give --max N",
			"%s is a Defender portal export, which holds every device of the tenant whatever was filtered on screen", list.Path)
	case p.rules.Max > 0 && n+len(p.doubted) > p.rules.Max:
		return guardError("check the list; nothing was sent", "%s would be sent, with those in doubt, more than --max %d allows",
			plural(n+len(p.doubted), "machine"), p.rules.Max)
	case f.expect >= 0 && n != f.expect:
		return guardError("check the list, or give --expect the number that is meant",
			"%s would be sent, not the %d that --expect allows", plural(n, "machine"), f.expect)
	case p.comment != "":
		return nil
	}
	for _, m := range p.send {
		if strings.TrimSpace(m.Comment) == "" {
			return usageError("line %d has no comment: give --comment with the reason for the campaign", m.Line)
		}
	}
	return nil
}

// namePreview says which machines are left alone, since when, and by which
// campaign. Those that this campaign has sent itself are no news.
func (a *app) namePreview(p preview, campaign string) {
	for _, k := range slices.Concat(p.settled, p.doubted, p.ended) {
		level := zerolog.InfoLevel
		if k.Campaign == campaign {
			level = zerolog.DebugLevel
		}
		a.log.WithLevel(level).Str("machine_id", k.MachineID).Str("name", k.machine.Name).Str("state", k.State.String()).
			Str("campaign", k.Campaign).Time("since", k.Updated).Msg("not sent again")
	}
	for _, m := range p.adopted {
		a.log.Info().Str("machine_id", m.ID).Str("name", m.Name).Msg("not sent again: the tenant has an action for it")
	}
	for _, st := range p.leaving {
		a.log.Warn().Str("machine_id", st.MachineID).Msg("left the list and is left out")
	}
	if p.blind {
		a.log.Warn().Msg("what other hosts sent is not known: the tenant's actions cannot be listed")
	}
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
			// tenant yet.
			i.Comment, i.Rules, i.TenantRead = p.comment, encoded, time.Time{}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	done, err := c.Enlist(enlistment(list))
	if err != nil {
		return nil, err
	}
	s.app.log.Info().Str("campaign", f.campaign).Int("added", done.Added).Int("refreshed", done.Refreshed).
		Int("excluded", done.Excluded).Int("returned", done.Returned).Int("unchanged", done.Unchanged).Msg("list enlisted")
	return c, nil
}

func enlistment(list *input.List) journal.Enlistment {
	return journal.Enlistment{
		List: journal.ListInfo{
			Path: list.Path, SHA256: list.SHA256, Duplicates: list.Duplicates, BadRows: list.BadRows,
			Machines: len(list.Machines) + len(list.NotOnboarded),
		},
		Columns: list.Columns,
		Machines: func(yield func(journal.Machine) bool) {
			for _, group := range []struct {
				machines []input.Machine
				exclude  string
			}{{list.Machines, ""}, {list.NotOnboarded, "not onboarded, says the list"}} {
				for _, m := range group.machines {
					if !yield(journal.Machine{ID: m.ID, Name: m.Name, Comment: m.Comment, Carried: m.Carried, Exclude: group.exclude}) {
						return
					}
				}
			}
		},
	}
}
