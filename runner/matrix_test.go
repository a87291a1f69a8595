package runner_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"offboard/defender"
	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// stranger is a machine that the tenant does not have.
var stranger = strings.Repeat("e", 40)

// outsider is a machine that the tenant has and the list does not.
var outsider = strings.Repeat("d", 40)

// matrix lets every step of a campaign fail in every form, alone and in pairs.
// No step is listed by hand: a trial tells how many there were and of what kind,
// so that the next ones know what can fail.
type matrix struct {
	workers int
	every   int // one of so many pairs is tried
	weaken  func(*trial)

	mu                          sync.Mutex
	cases, pairs, faults, broke int
	problem                     string // the first one
}

// TestFaultMatrix: whatever fails, and then whatever fails next, no machine is
// offboarded twice and each ends in the state that is the truth.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "fault matrix"}
	for _, workers := range []int{1, 3} {
		m := &matrix{workers: workers, every: proof.Cases(14, 1)}
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) { m.explore(t) })
		t.Logf("%d workers: %d cases, of which %d with two faults", workers, m.cases, m.pairs)
		row.Cases, row.Faults, row.Violations = row.Cases+m.cases, row.Faults+m.faults, row.Violations+m.broke
	}
	t.Run("control", func(t *testing.T) {
		for name, control := range controls {
			row.Controls++
			weak := &matrix{workers: 1, weaken: control.weaken}
			weak.alone(t)
			if strings.Contains(weak.problem, control.shows) {
				row.Caught++
			} else {
				t.Errorf("%s: %d cases, first problem %q", name, weak.cases, weak.problem)
			}
		}
	})
	proof.Report(t, row)
}

// explore tries all that can fail alone, each of it in a test of its own
// together with what can fail after it.
func (m *matrix) explore(t *testing.T) {
	t.Helper()
	steps := m.try(t, nil)
	for n, k := range steps {
		for _, f := range forms[k] {
			t.Run(fmt.Sprintf("%d %s %s", n, k, f), func(t *testing.T) {
				t.Parallel()
				m.after(t, n, f)
			})
		}
	}
}

func (m *matrix) after(t *testing.T, first int, f form) {
	t.Helper()
	steps := m.try(t, map[int]form{first: f})
	seen := first
	for n := first + 1; n < len(steps); n++ {
		for _, g := range forms[steps[n]] {
			if seen++; seen%m.every != 0 {
				continue
			}
			if m.try(t, map[int]form{first: f, n: g}); t.Failed() {
				return // the first says enough
			}
		}
	}
}

// alone tries all that can fail alone, until something is wrong.
func (m *matrix) alone(t *testing.T) {
	t.Helper()
	for n, k := range m.try(t, nil) {
		for _, f := range forms[k] {
			if m.try(t, map[int]form{n: f}); m.broke > 0 {
				return
			}
		}
	}
}

// try carries a campaign of four machines out: two to be sent, one that
// somebody else has offboarded and one that does not exist.
func (m *matrix) try(t *testing.T, plan map[int]form) (steps []kind) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// A second request is to be a second effect.
		tr := newTrial(t, simulator.Config{Machines: 3, Seed: 1, SettleAfter: -1, AcceptDuplicates: true}, stranger)
		tr.fail = func(n int, _ kind) form { return plan[n] }
		tr.config.Workers = m.workers
		if m.weaken != nil {
			m.weaken(tr)
		}
		theirs := tr.list[2]
		tr.sim.Act(theirs, "by another host")
		tr.settleAll(t.Context())
		tr.judge(theirs)
		problems := tr.close()
		m.count(t, plan, tr, problems)
		steps = tr.steps
	})
	return steps
}

func (m *matrix) count(t *testing.T, plan map[int]form, tr *trial, problems []string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cases++
	m.faults += tr.injected
	if tr.injected > 1 {
		m.pairs++
	}
	if len(problems) == 0 {
		return
	}
	m.broke++
	if m.problem == "" {
		m.problem = strings.Join(problems, "; ")
	}
	if m.weaken == nil {
		t.Errorf("%v: %s\nsteps %v", plan, strings.Join(problems, "\n"), tr.steps)
	}
}

// judge compares the journal, after the last process, with the truth.
func (tr *trial) judge(theirs string) {
	j, err := journal.Open(tr.path, journal.Tenant{}, journal.Options{ReadOnly: true})
	if err != nil {
		tr.problem("%v", err)
		return
	}
	defer j.Close()
	c, err := j.Campaign("c")
	if err != nil {
		tr.problem("%v", err)
		return
	}
	tr.judgeCounts(c)
	truth := tr.sim.Truth().Machines
	for _, id := range tr.list {
		e, err := c.Entry(id)
		want, origin, actions := journal.Accepted, journal.Ours, truth[id].ActionIDs
		switch id {
		case stranger:
			want, origin, actions = journal.Rejected, "", []string{""}
		case theirs:
			origin = journal.Adopted
		}
		if err != nil || e.State != want || e.Origin != origin || len(actions) != 1 || e.ActionID != actions[0] {
			tr.problem("machine %s is %s, %q, by action %q, %v; in truth %v", id, e.State, e.Origin, e.ActionID, err, actions)
		}
	}
}

// judgeCounts: each machine of the list is in exactly one state, and nothing
// else is.
func (tr *trial) judgeCounts(c *journal.Campaign) {
	counts, err := c.Counts()
	if err != nil {
		tr.problem("%v", err)
		return
	}
	var known []string
	for s, err := range c.Standing() {
		if err != nil {
			tr.problem("%v", err)
			return
		}
		known = append(known, s.MachineID)
	}
	slices.Sort(known)
	listed := slices.Sorted(slices.Values(tr.list))
	if counts.Total() != len(tr.list) || !slices.Equal(known, listed) {
		tr.problem("%d machines are counted and %v are known, of the list %v", counts.Total(), known, listed)
	}
}

// controls are campaigns without a part of the protection, and what the matrix
// must say of each.
var controls = map[string]struct {
	weaken func(*trial)
	shows  string
}{
	"a lost answer counts as not sent": {func(tr *trial) {
		tr.weaken = func(c *runner.Config) { c.Service = blind{c.Service} }
	}, "effect 2"},
	"what a kill left in doubt is sent again": {func(tr *trial) {
		tr.weaken = func(c *runner.Config) { c.Record = forgetful{c.Record} }
	}, "effect 2"},
	"the intent is not on disk": {func(tr *trial) {
		tr.weaken = func(c *runner.Config) { c.Record = careless{c.Record} }
	}, "without a durable intent"},
	"a machine is sent that is not on the list": {func(tr *trial) {
		tr.sim.AddMachine(simulator.Machine{ID: outsider})
		tr.weaken = func(c *runner.Config) { c.Record = greedy{careless{c.Record}} }
	}, "not on the list"},
}

// blind takes a lost answer for proof that nothing arrived.
type blind struct{ runner.Service }

func (b blind) Offboard(ctx context.Context, machineID, comment string) (defender.MachineAction, error) {
	a, err := b.Service.Offboard(ctx, machineID, comment)
	var e *defender.Error
	if errors.As(err, &e) && e.Meaning == defender.Unknown {
		e.Meaning = defender.NotApplied
	}
	return a, err
}

// forgetful releases what an earlier process left in doubt.
type forgetful struct{ runner.Record }

func (f forgetful) Standing() iter.Seq2[journal.Standing, error] {
	for s, err := range f.Record.Standing() {
		if err == nil && s.State == journal.InDoubt {
			_ = f.Release(s.MachineID, journal.Failure{Reason: journal.ReasonAbsent})
		}
	}
	return f.Record.Standing()
}

// careless acknowledges an intent that it does not keep.
type careless struct{ runner.Record }

func (careless) Begin(string, uint64) (journal.Attempt, error) {
	return journal.Attempt{Number: 1, Comment: "why"}, nil
}

// greedy has a machine more than the list.
type greedy struct{ runner.Record }

func (g greedy) Standing() iter.Seq2[journal.Standing, error] {
	return func(yield func(journal.Standing, error) bool) {
		if yield(journal.Standing{MachineID: outsider, State: journal.Planned}, nil) {
			g.Record.Standing()(yield)
		}
	}
}
