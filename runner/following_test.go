package runner_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offboard/journal"
	"offboard/runner"
)

// counted counts how the intents of a campaign reach the disk.
type counted struct {
	runner.Record
	alone, joint atomic.Int64
}

func (c *counted) Begin(machineID string, token uint64) (journal.Attempt, error) {
	c.alone.Add(1)
	return c.Record.Begin(machineID, token)
}

func (c *counted) AcceptAndBegin(machineID string, a journal.Action, o journal.Origin, next string, token uint64) (_ journal.Attempt, accepted, begun error) {
	c.joint.Add(1)
	return c.Record.AcceptAndBegin(machineID, a, o, next, token)
}

// TestIntentWithAnOutcome: a worker writes its next intent together with an outcome,
// but never where it might not begin it by itself. What keeps it from it happens
// while the first request is in flight.
func TestIntentWithAnOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		budget       runner.Budget
		during       func(r *runner.Runner, stop func())
		alone, joint int64
		counts       string
		ends         error
	}{
		"all at once":          {alone: 1, joint: 4, counts: "accepted 5"},
		"no budget":            {budget: runner.Budget{Calls: 1}, alone: 1, counts: "planned 4, accepted 1", ends: runner.ErrBudget},
		"a budget of two":      {budget: runner.Budget{Calls: 2}, alone: 1, joint: 1, counts: "planned 3, accepted 2", ends: runner.ErrBudget},
		"stopped":              {during: func(_ *runner.Runner, stop func()) { stop() }, alone: 1, counts: "planned 4, accepted 1", ends: context.Canceled},
		"held, and then ended": {during: func(r *runner.Runner, stop func()) { r.Hold(); time.AfterFunc(time.Hour, stop) }, alone: 1, counts: "planned 4, accepted 1", ends: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 5)
				defer b.close()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				record := &counted{Record: b.campaign}
				config := b.config
				config.Record, config.Calls, config.ListCalls = record, newLimiter(t), newLimiter(t)
				config.Workers, config.Budget = 1, c.budget
				r, err := runner.New(config)
				if err != nil {
					t.Fatal(err)
				}
				b.service.script = func(int, string) reply {
					if c.during != nil {
						c.during(r, stop)
					}
					return accepted()
				}
				if _, err = r.Run(ctx); !errors.Is(err, c.ends) || c.ends == nil && err != nil {
					t.Errorf("Run: %v; want %v", err, c.ends)
				}
				if record.alone.Load() != c.alone || record.joint.Load() != c.joint {
					t.Errorf("%d intents by themselves and %d with an outcome; want %d and %d", record.alone.Load(), record.joint.Load(), c.alone, c.joint)
				}
				b.want(c.counts)
			})
		})
	}
}

// refusing cannot record the outcome of one machine, and begins the next.
type refusing struct {
	runner.Record
	machineID string
}

func (r *refusing) AcceptAndBegin(machineID string, a journal.Action, o journal.Origin, next string, token uint64) (b journal.Attempt, accepted, begun error) {
	if machineID != r.machineID {
		return r.Record.AcceptAndBegin(machineID, a, o, next, token)
	}
	b, begun = r.Begin(next, token)
	return b, journal.ErrTransition, begun
}

// TestNextIsTakenBack: when an outcome stops the run, the intent that was written
// with it is taken back: nothing was sent, so nothing is in doubt.
func TestNextIsTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 4)
		defer b.close()
		config := b.config
		config.Record, config.Calls, config.ListCalls, config.Workers = &refusing{b.campaign, id(1)}, newLimiter(t), newLimiter(t), 1
		r, err := runner.New(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context()); !errors.Is(err, journal.ErrTransition) {
			t.Errorf("Run: %v", err)
		}
		b.want("planned 2, sending 1, accepted 1") // that one's answer could not be recorded
		b.effects(2)
	})
}
