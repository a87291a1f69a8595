package runner_test

import (
	"context"
	"errors"
	"iter"
	"strings"

	"offboard/defender"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// outsider is a machine that the tenant has and the list does not.
var outsider = strings.Repeat("d", 40)

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

func (f forgetful) Standing(states ...journal.State) iter.Seq2[journal.Standing, error] {
	for s, err := range f.Record.Standing() {
		if err == nil && s.State == journal.InDoubt {
			_ = f.Release(s.MachineID, journal.Failure{Reason: journal.ReasonAbsent})
		}
	}
	return f.Record.Standing(states...)
}

// careless acknowledges an intent that it does not keep.
type careless struct{ runner.Record }

func (careless) Begin(string, uint64) (journal.Attempt, error) {
	return journal.Attempt{Number: 1, Comment: "why"}, nil
}

func (c careless) AcceptAndBegin(machineID string, a journal.Action, o journal.Origin, next string, token uint64) (b journal.Attempt, accepted, begun error) {
	b, begun = c.Begin(next, token)
	return b, c.Accept(machineID, a, o), begun
}

// greedy has a machine more than the list.
type greedy struct{ runner.Record }

func (g greedy) Standing(states ...journal.State) iter.Seq2[journal.Standing, error] {
	return func(yield func(journal.Standing, error) bool) {
		if yield(journal.Standing{MachineID: outsider, State: journal.Planned}, nil) {
			g.Record.Standing(states...)(yield)
		}
	}
}
