package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// planRunFlags carry out a plan instead of a list.
type planRunFlags struct{ planPath, planSHA256, onDrift string }

// leaveOut of --on-drift goes on without what has drifted.
const leaveOut = "leave-out"

func (f *planRunFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.planPath, "plan", "", "carry out the plan in this `file`, instead of a list")
	fs.StringVar(&f.planSHA256, "plan-sha256", "", "refuse any plan but the one with this `hash`")
	fs.StringVar(&f.onDrift, "on-drift", "refuse", "when planned machines have changed: refuse, or leave-out them alone")
}

// planned is a plan that is being carried out.
type planned struct {
	planFile
	mark planMark
}

// planMark is what a campaign's rules keep of the plan that it was begun from.
type planMark struct {
	SHA256     string `json:"sha256"`
	ApprovedBy string `json:"approved_by,omitempty"`
}

func (f *planRunFlags) validate() error {
	switch {
	case f.onDrift != "refuse" && f.onDrift != leaveOut:
		return usageError("--on-drift %q is not refuse or leave-out", f.onDrift)
	case f.planPath == "" && (f.planSHA256 != "" || f.onDrift != "refuse"):
		return usageError("--plan-sha256 and --on-drift go with --plan")
	}
	return nil
}

// alone refuses whatever a plan says itself.
func (f *runFlags) alone(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("--plan takes no list: the plan has its machines")
	}
	var err error
	cmd.Flags().Visit(func(g *pflag.Flag) {
		if saidByPlan(g.Name) {
			err = errors.Join(err, usageError("--%s does not go with --plan, which is carried out as it was made", g.Name))
		}
	})
	return err
}

// saidByPlan says whether a flag is about what a plan says itself.
func saidByPlan(name string) bool {
	var own pflag.FlagSet
	(&listFlags{}).bind(&own)
	(&guardFlags{}).bind(&own)
	(&waveFlags{}).bind(&own)
	(&retryFlags{}).bind(&own)
	return name != "yes" && name != "dry-run" && (name == "campaign" || own.Lookup(name) != nil)
}

// runPlan carries out a plan.
func (a *app) runPlan(cmd *cobra.Command, args []string, f *runFlags) error {
	if err := f.alone(cmd, args); err != nil {
		return err
	}
	k, sum, err := readPlan(f.planPath)
	if err != nil {
		return err
	}
	if err := meant(f.planPath, sum, f.planSHA256); err != nil {
		return err
	}
	mark := planMark{SHA256: sum}
	if mark.ApprovedBy, err = a.approver(f.planPath, k, sum); err != nil {
		return err
	}
	f.planned, f.survey, f.campaign, f.comment = &planned{k, mark}, true, k.Campaign, k.Comment
	if err := f.validate(k.List.Path); err != nil {
		return err
	}
	if err := errors.Join(k.bound(a.journalTenant(&f.connectionFlags)), k.unchanged()); err != nil {
		return err
	}
	a.log.Info().Str("plan", f.planPath).Str("sha256", sum).Int("machines", len(k.Machines)).
		Str("made_by", k.MadeBy).Str("approved_by", mark.ApprovedBy).Msg("plan read")
	a.unguarded(f, k)
	return a.runMachines(cmd, k.list(), f)
}

// meant refuses another plan than the one whose hash was given.
func meant(path, sum, want string) error {
	if want == "" || strings.EqualFold(want, sum) {
		return nil
	}
	return guardError("take the plan that was meant", "%s has the SHA-256 %s, not that of --plan-sha256; nothing was sent", path, sum)
}

// approver is who approved the plan, "" if nobody did. An approval that does
// not hold stops the run.
func (a *app) approver(path string, k planFile, sum string) (string, error) {
	approved, err := readApproval(path, k, sum, a.env.owner)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return approved.Approver, err
}

// current refuses a plan that is not for this app, or has expired before its
// campaign began.
func (pl *planned) current(c *journal.Campaign, appID string, now time.Time) (begun bool, err error) {
	if c != nil {
		r, err := rulesOf(c.Info())
		if err != nil {
			return false, err
		}
		begun = r.Plan.SHA256 == pl.mark.SHA256
	}
	switch {
	case !strings.EqualFold(appID, pl.AppID):
		return begun, guardError("sign in as the app that planned, or plan again", "the plan is for app %q, not for %q; nothing was sent", pl.AppID, appID)
	case !begun && now.After(pl.ExpiresAt):
		return begun, guardError("plan again", "the plan has expired at %s; nothing was sent", pl.ExpiresAt.Format(time.RFC3339))
	}
	return begun, nil
}

// keepToPlan compares what was found now with what was planned. Nothing is ever
// added; what has drifted is not sent, and [plan.check] refuses it unless it may be
// left out.
func (s *session) keepToPlan(list *input.List, p *plan, pl *planned, begun bool) {
	p.drifted = p.drifts(pl, begun)
	for _, d := range p.drifted {
		s.app.log.Warn().Str("machine_id", d.MachineID).Str("name", d.Name).Msg("drifted: " + d.Reason)
	}
	p.leave(list, p.drifted)
}

// drifts compares every planned machine that the plan's own campaign has not
// dealt with.
func (p *plan) drifts(pl *planned, begun bool) (all []runner.Drift) {
	rule := map[string]string{}
	for _, m := range p.leftOut {
		rule[m.ID] = m.reason
	}
	before := map[string]journal.Live{} // ended in another campaign
	for _, k := range p.before {
		before[k.machine.ID] = k.Live
	}
	for _, m := range pl.Machines {
		now := runner.Found{Rule: rule[m.ID], IncludeNotOnboarded: p.rules.IncludeNotOnboarded}
		if l, ok := p.records[m.ID]; ok {
			if begun && l.Campaign == pl.Campaign {
				continue // by this plan
			}
			now.Live = &l
		} else if l, ok := before[m.ID]; ok && !m.Offboarding.is(l) {
			now.Live = &l
		}
		if record, ok := p.inventory.Records[m.ID]; ok {
			now.Record = &record
		}
		if action, ok := p.standing[m.ID]; ok {
			now.Action = &action
		}
		if why := runner.DriftFrom(m.Known, now); why != "" {
			all = append(all, runner.Drift{MachineID: m.ID, Name: m.name(), Reason: why})
		}
	}
	return all
}

// is says whether the plan knew of what the journal has.
func (o *planOffboarding) is(l journal.Live) bool {
	return o != nil && o.Campaign == l.Campaign && o.State == l.State.String() && o.Since.Equal(l.Updated)
}

// leave takes drifted machines out of what would be sent, settled or adopted.
func (p *plan) leave(list *input.List, drifts []runner.Drift) {
	why := make(map[string]string, len(drifts))
	for _, d := range drifts {
		why[d.MachineID] = d.Reason
	}
	out := func(m input.Machine) bool { _, ok := why[m.ID]; return ok }
	known := func(k known) bool { return out(k.machine) }
	for m := range list.Machines.All() { // those that a rule leaves out are off the list already
		if out(m) {
			p.leftOut = append(p.leftOut, omitted{m, "drifted: " + why[m.ID]})
		}
	}
	in := func(m input.Machine) bool { return !out(m) }
	list.Machines, p.send = list.Machines.Select(in), p.send.Select(in)
	p.adopted = slices.DeleteFunc(p.adopted, out)
	p.settled = slices.DeleteFunc(p.settled, known)
	p.doubted = slices.DeleteFunc(p.doubted, known)
	p.ended = slices.DeleteFunc(p.ended, known)
}

// leftOut are the machines that the plan leaves out.
func (k planFile) leftOut() (all []omitted) {
	for _, m := range k.LeftOut {
		all = append(all, omitted{m.row(), strings.TrimSpace(fmt.Sprintf("%s %s", m.Reason, m.Campaign))})
	}
	return all
}
