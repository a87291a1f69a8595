package runner_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offboard/defender"
	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// authorised is a machine that was offboarded once and that a person has had sent again.
type authorised struct {
	name    string
	tenant  simulator.Config
	earlier string // the campaign that sent it first
	ended   string // how
	faults  []simulator.Fault
	stops   []time.Duration // of the first processes
	// forget lets the new attempt not know what was before it.
	forget bool
	// theirs is under way by somebody else's hand when the campaign goes on.
	theirs bool
	// stale: the service answers the first request with the earlier action, and does
	// nothing.
	stale bool
}

// stale answers once with an action from before.
type staleAnswer struct {
	runner.Service
	once *sync.Once
	id   string
}

func (s staleAnswer) Offboard(ctx context.Context, machineID, comment string) (a defender.MachineAction, err error) {
	passed := true
	s.once.Do(func() {
		passed = false
		a = defender.MachineAction{ID: s.id, Type: defender.TypeOffboard, MachineID: machineID, Status: defender.StatusSucceeded}
	})
	if !passed {
		return a, nil
	}
	return s.Service.Offboard(ctx, machineID, comment)
}

// authorisedCases are every end of the first action, in the campaign itself and in an
// earlier one, with every way in which a request's outcome stays unknown, and a kill
// between the word and the request.
func authorisedCases() []authorised {
	lag := simulator.Config{ListLag: 4 * time.Minute}
	ways := []authorised{
		{name: "answered"},
		{name: "nothing arrived", faults: doubtful(simulator.DropBefore, 0)},
		{name: "it arrived", faults: doubtful(simulator.DropAfter, 0)},
		{name: "it arrived, the list lags", tenant: lag, faults: doubtful(simulator.DropAfter, 0)},
		{name: "a minute late", faults: doubtful(simulator.LateApply, time.Minute)},
		{name: "stopped in doubt", faults: doubtful(simulator.DropAfter, 0), stops: []time.Duration{time.Second, time.Minute}},
		{name: "theirs is under way", theirs: true},
		{name: "answered with the earlier action", stale: true},
	}
	var all []authorised
	for _, ended := range []string{"Succeeded", "Failed", "TimeOut", "Cancelled"} {
		for _, earlier := range []string{"c", "old"} {
			for _, w := range ways {
				w.ended, w.earlier, w.name = ended, earlier, ended+" in "+earlier+", "+w.name
				all = append(all, w)
			}
		}
	}
	return all
}

// TestAuthorisedAttempt: a machine that a person has had sent again is offboarded once
// more and not twice, and the earlier action never stands for the new one. The negative
// control knows nothing of the earlier action, and takes it for the new one.
func TestAuthorisedAttempt(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "sent again on a person's word"}
	var mu sync.Mutex
	t.Run("of", func(t *testing.T) {
		for _, c := range authorisedCases() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				problems := c.try(t)
				mu.Lock()
				defer mu.Unlock()
				row.Cases, row.Faults = row.Cases+1, row.Faults+len(c.faults)+len(c.stops)
				if len(problems) > 0 {
					row.Violations++
					t.Error(strings.Join(problems, "\n"))
				}
			})
		}
	})
	control := authorised{name: "control", ended: "Succeeded", earlier: "old", forget: true}
	row.Controls++
	if problems := control.try(t); strings.Contains(strings.Join(problems, "\n"), "the earlier action") {
		row.Caught++
	} else {
		t.Errorf("not seen: %q", problems)
	}
	proof.Report(t, row)
}

func (c authorised) try(t *testing.T) (problems []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config := c.tenant
		config.Machines, config.Seed, config.Faults, config.AcceptDuplicates = 1, 1, c.faults, true
		config.SettleAfter = time.Second
		tr := newTrial(t, config)
		tr.sim.Authorise(tr.list[0], 2)
		first := c.first(tr)
		<-time.After(10 * time.Minute) // the list shows it
		c.authorise(tr, first)
		if c.theirs {
			theirs(tr)
		}
		if once := new(sync.Once); c.stale {
			tr.weaken = func(rc *runner.Config) { rc.Service = staleAnswer{rc.Service, once, first} }
		}
		for _, after := range c.stops {
			tr.stopAfter(t.Context(), after)
		}
		tr.settleAll(t.Context())
		c.judge(tr, first)
		problems = tr.close()
	})
	return problems
}

// first is the action of the earlier attempt. What became of it is the journal's to say;
// in the tenant it has succeeded.
func (c authorised) first(tr *trial) string {
	tr.sim.Act(tr.list[0], runner.Mark(c.earlier, 1)+" why")
	return tr.sim.Truth().Machines[tr.list[0]].ActionIDs[0]
}

// authorise is what the process did that was killed before it sent anything.
func (c authorised) authorise(tr *trial, first string) {
	j, err := journal.Open(tr.path, journal.Tenant{ID: "t", Cloud: "public"}, journal.Options{})
	if err != nil {
		tr.t.Fatal(err)
	}
	defer j.Close()
	id := tr.list[0]
	earlier := c.campaign(tr, j, c.earlier)
	if _, err = earlier.Begin(id, 1); err == nil {
		err = earlier.Accept(id, journal.Action{ID: first, Status: c.ended}, journal.Ours)
	}
	if err != nil {
		tr.t.Fatal(err)
	}
	word := journal.Authorisation{MachineID: id, Reason: "onboarded again", Again: true, Past: []string{first}}
	own := earlier
	if c.earlier != "c" {
		own = c.campaign(tr, j, "c")
	}
	if c.forget {
		return
	}
	if err := own.Authorise([]journal.Authorisation{word}); err != nil {
		tr.t.Fatal(err)
	}
}

func (c authorised) campaign(tr *trial, j *journal.Journal, name string) *journal.Campaign {
	campaign, err := j.StartCampaign(journal.Info{Name: name, Comment: "why"})
	if err == nil {
		_, err = campaign.Enlist(journal.Enlistment{Machines: slices.Values([]journal.Machine{{ID: tr.list[0]}})})
	}
	if err != nil {
		tr.t.Fatal(err)
	}
	return campaign
}

func (c authorised) judge(tr *trial, first string) {
	e := tr.entry(tr.list[0])
	truth := tr.sim.Truth().Machines[tr.list[0]]
	if e.ActionID == first || truth.Effects == 1 {
		tr.problem("the earlier action %s stands for the new one: %s by %q, %d effects", first, e.State, e.ActionID, truth.Effects)
		return
	}
	origin := journal.Ours
	if c.theirs {
		origin = journal.Adopted
	}
	if truth.Effects != 2 || e.ActionID != truth.ActionIDs[1] || e.Origin != origin {
		tr.problem("%d effects; %s by %q, %q, want %q", truth.Effects, e.State, e.ActionID, e.Origin, truth.ActionIDs[1])
	}
}
