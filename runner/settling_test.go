package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
)

// TestSettling: whatever the action list shows, and however late, a machine in
// doubt is not offboarded twice.
func TestSettling(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "settling, by case"}
	var mu sync.Mutex
	t.Run("of", func(t *testing.T) {
		for duplicates, cases := range map[bool][]settling{true: settlings(), false: refused()} {
			for _, s := range cases {
				s.tenant.AcceptDuplicates = duplicates && s.tenant.ReturnActive == 0
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					problems, faults := s.try(t)
					mu.Lock()
					defer mu.Unlock()
					row.Cases, row.Faults = row.Cases+1, row.Faults+faults
					if len(problems) > 0 {
						row.Violations++
						t.Error(strings.Join(problems, "\n"))
					}
				})
			}
		}
	})
	for _, s := range careful() {
		s.tenant.AcceptDuplicates = true
		row.Controls++
		if problems, _ := s.try(t); strings.Contains(strings.Join(problems, "\n"), "effect 2") {
			row.Caught++
		} else {
			t.Errorf("%s: not seen, %q", s.name, problems)
		}
	}
	proof.Report(t, row)
}

// try carries the case out and returns what is not as it has to be.
func (s settling) try(t *testing.T) (problems []string, faults int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Time
		var tr *trial
		c := s.tenant
		c.Machines, c.Seed, c.Faults = 1, 1, s.faults
		if c.SettleAfter == 0 {
			c.SettleAfter = -1
		}
		c.Observe = func(r simulator.Request) {
			if r.Endpoint != simulator.Offboard {
				return
			}
			act := s.after
			if r.Stage == simulator.Arrived {
				sent = append(sent, time.Now()) // one worker, one request at a time
				act = s.during
			}
			if act != nil && len(sent) == 1 {
				act(tr)
			}
		}
		tr = newTrial(t, c)
		tr.weaken = s.weaken
		tr.sim.Authorise(tr.list[0], max(1, s.effects))
		s.carryOut(t, tr)
		s.judge(tr, sent)
		problems, faults = tr.close(), tr.faults()
		for _, n := range tr.sim.Truth().Faults {
			faults += n
		}
	})
	return problems, faults
}

func (s settling) carryOut(t *testing.T, tr *trial) {
	t.Helper()
	if s.before != nil {
		s.before(tr)
	}
	began := time.Now()
	if s.fail != nil {
		tr.fail = func(_ int, k kind) form { return s.fail(time.Since(began), k) }
	}
	ahead := append(slices.Clone(s.ahead), make([]time.Duration, len(s.stops)+1)...)
	for i, after := range s.stops {
		tr.ahead = ahead[i]
		tr.stopAfter(t.Context(), after)
	}
	tr.ahead = ahead[len(s.stops)]
	tr.settleAll(t.Context())
}

// stopAfter lets a process be stopped.
func (tr *trial) stopAfter(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if err := tr.process(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		tr.problem("a process that was stopped ended with %v", err)
	}
}

func (s settling) judge(tr *trial, sent []time.Time) {
	id := tr.list[0]
	want := s
	if want.state == 0 {
		want.state = journal.Accepted
	}
	if want.origin == "" && want.state != journal.InDoubt {
		want.origin = journal.Ours
	}
	want.effects = max(1, want.effects)
	switch want.requests {
	case 0:
		want.requests = 1
	case -1:
		want.requests = 0
	}
	e := tr.entry(id)
	effects := tr.sim.Truth().Machines[id].Effects
	if e.State != want.state || e.Origin != want.origin || effects != want.effects || len(sent) != want.requests {
		tr.problem("%s, %q, %d effects, %d requests; want %s, %q, %d and %d",
			e.State, e.Origin, effects, len(sent), want.state, want.origin, want.effects, want.requests)
	}
	if len(sent) == 2 && sent[1].Sub(sent[0]) < want.apart {
		tr.problem("the requests were %s apart; want %s", sent[1].Sub(sent[0]), want.apart)
	}
}

// entry is what the journal holds of a machine after the last process.
func (tr *trial) entry(id string) journal.Entry {
	j, err := journal.Open(tr.path, journal.Tenant{}, journal.Options{ReadOnly: true})
	if err != nil {
		tr.problem("%v", err)
		return journal.Entry{}
	}
	defer j.Close()
	c, err := j.Campaign("c")
	if err != nil {
		tr.problem("%v", err)
		return journal.Entry{}
	}
	e, err := c.Entry(id)
	if err != nil {
		tr.problem("%v", err)
	}
	return e
}
