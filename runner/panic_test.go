package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offboard/defender"
	"offboard/journal"
	"offboard/runner"
)

const canary = "canary-5f2c9e-secret"

// brittle is a service whose decoder panics at the answer for one machine.
type brittle struct {
	runner.Service
	machineID string
}

func (b *brittle) Offboard(ctx context.Context, machineID, comment string) (defender.MachineAction, error) {
	if machineID == b.machineID {
		if _, err := b.Service.Offboard(ctx, machineID, comment); err == nil {
			panic(errors.New(canary))
		}
	}
	return b.Service.Offboard(ctx, machineID, comment)
}

// TestPanic: what panics leaves at most its own machine without an outcome. What
// was in flight is recorded, and the next run does the rest.
func TestPanic(t *testing.T) {
	t.Parallel()
	at := func(kind runner.EventKind) func(*bench) {
		return func(b *bench) {
			b.config.OnEvent = func(e runner.Event) {
				if e.Kind == kind && e.MachineID == id(0) {
					var none []string
					_ = none[len(e.MachineID)]
				}
			}
		}
	}
	// The machine that it happens to is answered before those in flight with it.
	first := func(lost bool) func(int, string) reply {
		return func(nth int, machineID string) reply {
			switch {
			case machineID != id(0) || nth > 1:
				return accepted()
			case lost:
				return reply{err: errLost, takes: 100 * time.Millisecond}
			}
			return reply{apply: true, takes: 100 * time.Millisecond}
		}
	}
	for name, c := range map[string]struct {
		plant  func(*bench)
		lost   bool   // the answer for the machine
		counts string // after the panic
		says   string
	}{
		"in a decoder": {
			plant:  func(b *bench) { b.config.Service = &brittle{b.service, id(0)} },
			counts: "planned 3, sending 1, accepted 2",
			says:   "a panic with a *errors.errorString in offboard/runner_test.(*brittle).Offboard, line ",
		},
		"at an outcome": {plant: at(runner.EventOutcome), counts: "planned 3, accepted 3", says: "index out of range"},
		"at a doubt": {
			plant: at(runner.EventOutcome), counts: "planned 3, accepted 2, in_doubt 1", says: "index out of range",
			lost: true,
		},
		"while settling": {
			plant: at(runner.EventLooked), counts: "accepted 5, in_doubt 1", says: "index out of range",
			lost: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 6)
				defer func() { b.close() }()
				b.config.Workers, b.service.script = 3, first(c.lost)
				whole := b.config
				c.plant(b)
				_, err := b.run(t.Context())
				if !errors.Is(err, runner.ErrPanic) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) {
					t.Errorf("Run: %v", err)
				}
				b.want(c.counts)
				b.reopen()
				if n, _ := b.campaign.Counts(); n.Of(journal.Sending) != 0 {
					t.Errorf("%+v", n)
				}
				b.config = whole
				if _, err := b.run(t.Context()); err != nil {
					t.Error(err)
				}
				b.want("accepted 6")
				b.effects(6)
			})
		})
	}
}
