package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// plan is what was decided about a list before anybody is asked.
type plan struct {
	existing *journal.Campaign // nil: a new campaign
	comment  string
	rules    rules
	preview
	// uninformed: the tenant may not be listed, and nobody said that the
	// journal needs no telling of what other hosts did.
	uninformed bool
	// policy of the machine, nil for none.
	policy *policy
	// leftOut are the machines that the list or the rules leave out.
	leftOut []omitted
	// agreed are the machines of the plan that is carried out; none for a list.
	agreed input.Machines
	// rows are the machines' places, in the order of the waves; nil without any.
	rows map[string]int
	// survey: the inventory is read whatever the rules ask.
	survey bool
	// inventory is what was read of it.
	inventory runner.Inventory
	// drifted are machines of the plan that is carried out which are not sent,
	// because they have changed since it was made.
	drifted []runner.Drift
}

// omitted is a machine of the list that is not to be sent, and why.
type omitted struct {
	input.Machine
	reason string
}

// plan resolves the list and compares it with the campaign's rules, the journal
// and the tenant, and changes none of them.
func (s *session) plan(ctx context.Context, list *input.List, f *runFlags) (plan, error) {
	was, err := s.takeEnded(list, f)
	if err != nil {
		return plan{}, err
	}
	if err := s.resolveRows(ctx, list, &f.listFlags); err != nil {
		return plan{}, err
	}
	p, err := s.judgedBy(ctx, list, f)
	if err != nil {
		return p, err
	}
	var begun bool
	if f.planned != nil {
		if begun, err = f.planned.current(p.existing, s.appID, time.Now()); err != nil {
			return p, err
		}
	}
	n, err := s.renewal(f, was)
	if err != nil {
		return p, err
	}
	if err := s.guardList(ctx, list, &p); err != nil {
		return p, err
	}
	if p.preview, err = s.preview(ctx, list, p.leftOut, n); err != nil {
		return p, err
	}
	if f.planned != nil {
		p.agreed = f.planned.list().Machines
		s.keepToPlan(list, &p, f.planned, begun)
	}
	if len(p.drifted) > 0 && f.onDrift != leaveOut {
		p.rules.Waves = nil // refused: what is left need not be divisible
	}
	s.app.namePreview(p.preview, f.campaign)
	if p.blind {
		p.rules.NewJournal, err = s.mayGoUninformed(p.rules)
		p.uninformed = !p.rules.NewJournal
	}
	return p, errors.Join(err, p.divide(list))
}

// judgedBy is what a list is judged by: the rules of its flags or of its plan, those
// of the campaign if it has begun, and the machine's policy.
func (s *session) judgedBy(ctx context.Context, list *input.List, f *runFlags) (p plan, err error) {
	p = plan{
		comment: strings.TrimSpace(f.comment), survey: f.survey,
		rules: rules{
			Max: f.max, Ticket: f.ticket, IncludeNotOnboarded: f.includeNotOnboarded, NewJournal: f.newJournal,
			Waves: f.waveRules(),
		},
	}
	for _, m := range list.NotOnboarded {
		p.leftOut = append(p.leftOut, omitted{m, s.notOnboarded(m)})
	}
	if p.rules.guardRules, err = f.guardRules(); err != nil {
		return p, err
	}
	if f.planned != nil {
		p.rules, p.rules.Plan = f.planned.Rules, f.planned.mark
		p.rules.NewJournal = p.rules.NewJournal || f.newJournal
		p.leftOut = append(p.leftOut, f.planned.leftOut()...)
	}
	if p.policy, err = s.app.inForce(ctx); err != nil {
		return p, err
	}
	if err := p.policy.contradicted(p.rules); err != nil {
		return p, err
	}
	if err := s.existing(&p, f.campaign); err != nil {
		return p, err
	}
	err = s.inherit(&p, f)
	p.rules.Policy = p.policy.mark()
	p.rules.Waves.bound(&f.budgetFlags)
	return p, err
}

// notOnboarded says who says that a machine has no sensor to stop.
func (s *session) notOnboarded(m input.Machine) string {
	if s.inventory == nil {
		return "not onboarded, says the list"
	}
	if into := s.inventory.Records[m.ID].MergedIntoMachineID; into != "" {
		return "merged into " + into
	}
	return "not onboarded"
}

// existing takes comment and rules from the campaign if there is one; this
// run's flags may only tighten them.
func (s *session) existing(p *plan, name string) error {
	c, err := s.campaign(name)
	if err != nil || c == nil {
		p.comment = ticketed(p.comment, p.rules.Ticket)
		return err
	}
	info := c.Info()
	if err := refuseAborted(info); err != nil {
		return err
	}
	begun, err := rulesOf(info)
	if err != nil {
		return err
	}
	planning := p.survey && p.rules.Plan.SHA256 == ""
	if planning {
		p.rules.Plan = begun.Plan // what is being planned will take its place
	}
	if p.rules, err = begun.tightened(p.rules); err != nil {
		return err
	}
	if planning {
		p.rules.Plan = planMark{}
	}
	p.comment = ticketed(p.comment, p.rules.Ticket)
	if p.comment != "" && info.Comment != "" && p.comment != info.Comment {
		return usageError("campaign %q was begun with --comment %q, which stays; give --campaign another name for another purpose", info.Name, info.Comment)
	}
	p.existing = c
	if info.Comment != "" {
		p.comment = info.Comment
	}
	return nil
}

// check refuses a plan that the guards do not allow.
func (p plan) check(list *input.List, f *runFlags) error {
	// A plan that is only being made is not asked for itself.
	planned := f.survey
	approved := planned && (f.planned == nil || f.planned.mark.ApprovedBy != "")
	if err := p.policy.demands(p.rules.Ticket, planned, approved); err != nil {
		return err
	}
	if err := p.policy.exceeded(p.send.Len()+len(p.doubted), p.inventory.Onboarded); err != nil {
		return err
	}
	n := p.send.Len()
	switch {
	case len(p.drifted) > 0 && f.onDrift != leaveOut:
		return guardError("plan again, or give --on-drift leave-out to go on without them",
			"%s of the plan changed since it was made, the first is %s (%s); nothing was sent", plural(len(p.drifted), "machine"), p.drifted[0].MachineID, p.drifted[0].Reason)
	case p.uninformed:
		return uninformedError(runner.ErrTenantUnread)
	case p.blind && f.again:
		return &commandError{
			code: exitSignIn, hint: "grant Machine.Read.All; nothing was sent",
			err: fmt.Errorf("--again has to see what is under way: %w", runner.ErrTenantUnread),
		}
	case list.Portal && p.rules.Max == 0:
		return guardError("give --max N",
			"%s is a Defender portal export, which holds every device of the tenant whatever was filtered on screen", list.Path)
	case p.rules.Max > 0 && n+len(p.doubted) > p.rules.Max:
		return guardError("check the list; nothing was sent", "%s would be sent, with those in doubt, more than --max %d allows",
			plural(n+len(p.doubted), "machine"), p.rules.Max)
	case p.rules.MaxPercent > 0 && moreThan(p.rules.MaxPercent, n+len(p.doubted), p.inventory.Onboarded):
		return guardError("check the list; nothing was sent", "%s would be sent, with those in doubt, of %s onboarded in the tenant: more than --max-percent-of-tenant %g allows",
			plural(n+len(p.doubted), "machine"), grouped(p.inventory.Onboarded), p.rules.MaxPercent)
	case f.expect != anyNumber && n != f.expect:
		return guardError("check the list, or give --expect the number that is meant",
			"%s would be sent, not the %d that --expect allows", plural(n, "machine"), f.expect)
	case p.comment != "":
		return nil
	}
	for m := range p.send.All() {
		if strings.TrimSpace(m.Comment) == "" {
			return usageError("line %d has no comment: give --comment with the reason for the campaign", m.Line)
		}
	}
	return nil
}

// moreThan says whether a part is more than so many percent of a whole.
func moreThan(percent float64, part, whole int) bool {
	return float64(part)*100 > percent*float64(whole)
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
	for _, k := range slices.Concat(p.again, p.before) {
		a.log.Info().Str("machine_id", k.machine.ID).Str("name", k.machine.Name).Str("state", k.State.String()).
			Str("campaign", k.Campaign).Time("since", k.Updated).Msg("has ended before, and is sent")
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
