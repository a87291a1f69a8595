package runner_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// stranger is a machine that the tenant does not have.
var stranger = strings.Repeat("e", 40)

// matrix lets every step of a campaign fail in every form, alone and in pairs.
// No step is listed by hand: a trial tells how many there were and of what kind,
// so that the next ones know what can fail.
type matrix struct {
	name    string
	workers int
	every   int          // one of so many pairs is tried
	before  func(*trial) // the first process
	weaken  func(*trial) // takes a part of the protection away

	mu                          sync.Mutex
	cases, pairs, faults, broke int
	problem                     string // the first one
}

// TestFaultMatrix: whatever fails, and then whatever fails next, no machine is
// offboarded twice and each ends in the state that is the truth.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "fault matrix"}
	for _, m := range []*matrix{
		{name: "one worker", workers: 1, every: proof.Cases(100, 1)},
		{name: "three workers", workers: 3, every: proof.Cases(100, 1)},
		{name: "another campaign's doubt, arrived", workers: 1, every: proof.Cases(100, 5), before: doubtElsewhere(true)},
		{name: "another campaign's doubt, lost", workers: 1, every: proof.Cases(100, 5), before: doubtElsewhere(false)},
	} {
		t.Run(m.name, func(t *testing.T) { m.explore(t) })
		t.Logf("%s: %d cases, of which %d with two faults", m.name, m.cases, m.pairs)
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
		for _, prepare := range []func(*trial){m.before, m.weaken} {
			if prepare != nil {
				prepare(tr)
			}
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

// doubtElsewhere leaves the first machine sending in another campaign of the
// journal, whose request has arrived or not.
func doubtElsewhere(arrived bool) func(*trial) {
	return func(tr *trial) {
		id := tr.list[len(tr.list)-3]
		j, err := journal.Open(tr.path, journal.Tenant{ID: "t", Cloud: "public"}, journal.Options{})
		if err != nil {
			tr.t.Fatal(err)
		}
		defer j.Close()
		c, err := j.StartCampaign(journal.Info{Name: "b", Comment: "why"})
		if err == nil {
			_, err = c.Enlist(journal.Enlistment{Machines: slices.Values([]journal.Machine{{ID: id}})})
		}
		if err == nil {
			_, err = c.Begin(id, 1)
		}
		if err != nil {
			tr.t.Fatal(err)
		}
		if arrived {
			tr.sim.Act(id, runner.Mark("b", 1)+" why")
		}
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
