package runner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"offboard/defender"
	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// chaos is a campaign in which whatever the assumptions allow happens by chance.
type chaos struct {
	tenant  simulator.Config
	workers int
	acts    []act
	stops   []time.Duration // of the first processes
	ahead   []time.Duration // of the wall clocks of these
	from    time.Duration   // the action list is out of reach
	to      time.Duration
	weaken  func(*runner.Config)
}

// act is what somebody does in the portal.
type act struct {
	Machine int
	At      time.Duration
	Cancels bool // whatever is under way, instead of offboarding
}

// drawChaos draws what may happen when requests are late by no more than a
// minute, and late and lag together take less than the wait. Past says by how
// much that is overdone.
func drawChaos(rt *rapid.T, past time.Duration) chaos {
	upTo := func(name string, d time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(d/time.Second)).Draw(rt, name)) * time.Second
	}
	c := chaos{workers: rapid.IntRange(1, 3).Draw(rt, "workers")}
	c.tenant = simulator.Config{
		Machines: rapid.IntRange(1, 3).Draw(rt, "machines"), Seed: 1, SettleAfter: -1,
		ListLag: upTo("lag", runner.DefaultSettleWait-time.Minute-time.Second) + past,
		Failing: rapid.SampledFrom([]float64{0, 1}).Draw(rt, "failing"),
	}
	c.tenant.AcceptDuplicates = past > 0 || rapid.IntRange(0, 3).Draw(rt, "duplicates") > 0
	if rapid.Bool().Draw(rt, "ends") {
		c.tenant.SettleAfter = time.Second + upTo("settle after", 10*time.Minute)
	}
	for i := range rapid.IntRange(1, 5).Draw(rt, "faults") {
		c.tenant.Faults = append(c.tenant.Faults, drawFault(rt, i))
	}
	for range rapid.IntRange(0, 2).Draw(rt, "acts") {
		c.acts = append(c.acts, act{
			Machine: rapid.IntRange(0, c.tenant.Machines-1).Draw(rt, "machine"), At: upTo("at", 12*time.Minute),
			Cancels: rapid.Bool().Draw(rt, "cancels"),
		})
	}
	for range rapid.IntRange(0, 3).Draw(rt, "stops") {
		c.stops = append(c.stops, upTo("stop", 7*time.Minute)+time.Second)
		c.ahead = append(c.ahead, upTo("ahead", 20*time.Hour)-10*time.Hour)
	}
	c.from = upTo("from", 12*time.Minute)
	c.to = c.from + upTo("for", 5*time.Minute)
	return c
}

func drawFault(rt *rapid.T, n int) simulator.Fault {
	if n == 4 {
		kind := rapid.SampledFrom([]simulator.Kind{simulator.DropBefore, simulator.StatusBefore, simulator.Throttle}).Draw(rt, "list fault")
		return simulator.Fault{Kind: kind, Endpoint: simulator.ListActions, Every: 2, Times: 4}
	}
	f := simulator.Fault{Nth: rapid.IntRange(1, 6).Draw(rt, "nth")}
	f.Kind = rapid.SampledFrom([]simulator.Kind{
		simulator.DropBefore, simulator.DropAfter, simulator.StatusBefore, simulator.StatusAfter, simulator.SlowBefore,
		simulator.SlowAfter, simulator.LateApply, simulator.Throttle, simulator.Truncated,
	}).Draw(rt, "kind")
	late := time.Duration(rapid.IntRange(0, 59).Draw(rt, "late")) * time.Second
	switch f.Kind {
	case simulator.SlowBefore:
		f.Delay = defender.DefaultTimeout + late
	case simulator.SlowAfter:
		f.Delay = 2 * late
	default:
		f.Delay = late
	}
	return f
}

// TestSettlingByChance: within the assumptions no machine is offboarded twice,
// and all are settled in the end. The control has lists that lag by more than is
// waited for.
func TestSettlingByChance(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "settling, by chance"}
	for range proof.Cases(1, 30) {
		rapid.Check(t, func(rt *rapid.T) {
			c := drawChaos(rt, 0)
			problems, faults := c.try(t)
			row.Cases, row.Faults = row.Cases+1, row.Faults+faults
			if len(problems) > 0 {
				row.Violations++
				rt.Errorf("%+v:\n%s", c, strings.Join(problems, "\n"))
			}
		})
	}
	row.Controls = 2
	if seen(t, runner.DefaultSettleWait, nil) {
		row.Caught++
	}
	if seen(t, 0, func(c *runner.Config) { c.SettleWait = time.Millisecond }) {
		row.Caught++
	}
	proof.Report(t, row)
}

// seen says whether chance finds a second effect without a part of the protection.
func seen(t *testing.T, past time.Duration, weaken func(*runner.Config)) bool {
	t.Helper()
	gen := rapid.Custom(func(rt *rapid.T) chaos { return drawChaos(rt, past) })
	for seed := range 300 {
		c := gen.Example(seed)
		c.weaken = weaken
		if problems, _ := c.try(t); strings.Contains(strings.Join(problems, "\n"), "offboarded 2 times") {
			return true
		}
	}
	return false
}

func (c chaos) try(t *testing.T) (problems []string, faults int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(t, c.tenant)
		tr.config.Workers, tr.config.RetryFor, tr.weaken = c.workers, runner.DefaultRetryFor, c.weaken
		acts := map[string]int{}
		for i, id := range tr.list {
			acts[id] = len(slices.DeleteFunc(slices.Clone(c.acts), func(a act) bool { return a.Machine != i || a.Cancels }))
			tr.sim.Authorise(id, 1+acts[id])
		}
		began := time.Now()
		out := within(c.from, c.to, notApplied)
		tr.fail = func(_ int, k kind) form { return out(time.Since(began), k) }
		for _, a := range c.acts {
			time.AfterFunc(a.At, func() { tr.act(a) })
		}
		for i, after := range c.stops {
			tr.ahead = c.ahead[i]
			tr.stopAfter(t.Context(), after)
		}
		tr.ahead = 0
		tr.settleAll(t.Context())
		problems = tr.close()
		problems = append(problems, tr.judgeChaos(acts)...)
		faults = tr.faults() + len(c.stops)
		for _, n := range tr.sim.Truth().Faults {
			faults += n
		}
	})
	return problems, faults
}

func (tr *trial) act(a act) {
	id := tr.list[a.Machine]
	if !a.Cancels {
		tr.sim.Act(id, "by another host")
		return
	}
	for _, action := range tr.sim.Truth().Machines[id].ActionIDs {
		tr.sim.Cancel(action, "wrong one")
	}
}

// judgeChaos: of each machine's effects at most one is ours, and its state is
// one to rest in. A machine that somebody else's action was said to be in the way
// of stays in doubt when that action never shows.
func (tr *trial) judgeChaos(acts map[string]int) (problems []string) {
	for _, id := range tr.list {
		truth, e := tr.sim.Truth().Machines[id], tr.entry(id)
		if ours := truth.Effects - acts[id]; ours > 1 {
			problems = append(problems, fmt.Sprintf("machine %s was offboarded %d times", id, ours))
		}
		blocked := e.Failure != nil && e.Failure.Code == defender.CodeActiveRequestAlreadyExists
		switch {
		case e.State == journal.Planned, e.State == journal.Sending, e.State == journal.InDoubt && !blocked:
			problems = append(problems, fmt.Sprintf("machine %s is %s", id, e.State))
		case e.ActionID != "" && !slices.Contains(truth.ActionIDs, e.ActionID):
			problems = append(problems, fmt.Sprintf("machine %s has the action %s, in truth %v", id, e.ActionID, truth.ActionIDs))
		}
	}
	return problems
}
