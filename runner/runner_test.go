package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"offboard/defender"
	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

func TestEveryMachineIsSentOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 250)
		defer b.close()
		began := time.Now()
		sum, err := b.run(t.Context())
		if err != nil || sum.Sent != 250 || sum.Throttled != 0 {
			t.Errorf("Run: %+v, %v", sum, err)
		}
		b.want("accepted 250")
		b.effects(250)
		if b.service.most > runner.DefaultWorkers {
			t.Errorf("%d calls in flight", b.service.most)
		}
		// Two windows have to pass: 100, 100, 50.
		if took := time.Since(began); took < 2*time.Minute || took > 132*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// TestMeanings sends one machine whose first request goes as the case says; all
// later ones are accepted.
func TestMeanings(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		first   reply
		again   bool // all requests go like the first
		listErr error
		counts  string
		effects int
		stops   error
		within  time.Duration
	}{
		{name: "accepted", first: accepted(), counts: "accepted 1", effects: 1, within: time.Second},
		{name: "throttled", first: reply{err: errThrottled}, counts: "accepted 1", effects: 1, within: 10 * time.Second},
		{name: "unreachable, then there", first: reply{err: errUnreachable}, counts: "accepted 1", effects: 1, within: 3 * time.Second},
		{name: "unreachable for good", first: reply{err: errUnreachable}, again: true, counts: "planned 1", stops: runner.ErrUnreachable, within: 32 * time.Minute},
		{name: "refused", first: reply{err: errRefused}, counts: "rejected 1", within: time.Second},
		{name: "not found once", first: reply{err: errNotFound}, counts: "accepted 1", effects: 1, within: 2 * time.Second},
		{name: "not found twice", first: reply{err: errNotFound}, again: true, counts: "rejected 1", within: 2 * time.Second},
		{name: "forbidden", first: reply{err: errForbidden}, again: true, counts: "planned 1", stops: defender.ErrForbidden, within: time.Second},
		{name: "lost before", first: reply{err: errLost}, counts: "accepted 1", effects: 1, within: 6 * time.Minute},
		{name: "lost after", first: reply{apply: true, err: errLost}, counts: "accepted 1", effects: 1, within: 10 * time.Second},
		{name: "arrives late", first: reply{late: time.Minute, err: errLost}, counts: "accepted 1", effects: 1, within: 5 * time.Minute},
		{name: "lost, not allowed to look", first: reply{err: errLost}, listErr: errForbidden, counts: "in_doubt 1", within: 10 * time.Second},
		{name: "already active, not listed", first: reply{err: errActive}, counts: "in_doubt 1", within: 7 * time.Minute},
		{name: "already active, not allowed to look", first: reply{err: errActive}, listErr: errForbidden, counts: "in_doubt 1", within: 10 * time.Second},
		{name: "an error without a meaning", first: reply{err: errors.New("what?")}, counts: "accepted 1", effects: 1, within: 6 * time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 1)
				defer b.close()
				b.service.script = func(nth int, _ string) reply {
					if nth == 1 || c.again {
						return c.first
					}
					return accepted()
				}
				b.service.listErr = func() error { return c.listErr }
				began := time.Now()
				_, err := b.run(t.Context())
				if !errors.Is(err, c.stops) || c.stops == nil && err != nil {
					t.Errorf("Run: %v; want %v", err, c.stops)
				}
				b.want(c.counts)
				b.effects(c.effects)
				if took := time.Since(began); took > c.within {
					t.Errorf("took %s; want at most %s", took, c.within)
				}
			})
		})
	}
}

// TestActiveActionIsAdopted: the service speaks of an action under way that is
// somebody else's, and that its list shows at once or only a minute later.
func TestActiveActionIsAdopted(t *testing.T) {
	t.Parallel()
	for _, lag := range []time.Duration{0, time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 1)
				defer b.close()
				b.service.lag = lag
				theirs := b.service.add(id(0), "by somebody else", defender.StatusPending)
				b.service.script = func(int, string) reply { return reply{err: errActive} }
				if _, err := b.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				e, err := b.campaign.Entry(id(0))
				if err != nil || e.State != journal.Accepted || e.Origin != journal.Adopted || e.ActionID != theirs.ID {
					t.Errorf("%+v, %v; want the action of somebody else, adopted", e, err)
				}
			})
		})
	}
}

func TestOthersGoOnWhileOneIsInDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 50)
		defer b.close()
		b.service.script = func(nth int, m string) reply {
			if nth == 1 && m == id(0) {
				return reply{err: errLost}
			}
			return accepted()
		}
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("accepted 50")
		b.effects(50)
		last := b.service.actions[len(b.service.actions)-1]
		if last.MachineID != id(0) || time.Since(last.since) > time.Second {
			t.Errorf("the machine in doubt was not the last to be sent, after all others")
		}
	})
}

// TestStop cancels a run in the middle: what is in flight is finished and
// recorded, nothing new begins, and the next run does the rest.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 60)
		defer b.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v; want the context's error", err)
		}
		c, _ := b.campaign.Counts()
		if c.Of(journal.Sending) != 0 || c.Of(journal.Accepted) == 0 || c.Of(journal.Planned) == 0 {
			t.Errorf("after the stop: %+v", c)
		}
		b.effects(c.Of(journal.Accepted))
		b.reopen()
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("accepted 60")
		b.effects(60)
	})
}

// TestKilled leaves intents behind, as a kill does: half of the requests had
// arrived.
func TestKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 20)
		defer func() { b.close() }()
		for i := range 8 {
			a, err := b.campaign.Begin(id(i), uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				b.service.apply(id(i), runner.Mark("c", a.Number)+" why")
			}
		}
		b.reopen()
		b.want("planned 12, in_doubt 8")
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("accepted 20")
		b.effects(20)
	})
}

// TestListLags settles by absence although the list shows what it has only
// after minutes: the later action of ours has to be shown first.
func TestListLags(t *testing.T) {
	t.Parallel()
	for _, lag := range []time.Duration{10 * time.Second, 4 * time.Minute, 9 * time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 900)
				defer b.close()
				b.service.lag = lag
				b.service.script = func(nth int, m string) reply {
					switch {
					case nth == 1 && m == id(3):
						return reply{apply: true, err: errLost}
					case nth == 1 && m == id(4):
						return reply{err: errLost}
					case nth == 1 && m == id(5):
						return reply{late: 50 * time.Second, err: errLost}
					}
					return accepted()
				}
				if _, err := b.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.want("accepted 900")
				b.effects(900)
			})
		})
	}
}

// TestEarlierActionsSettleNothing: an action that was there before the attempt
// carries the attempt's mark, since a lost journal had a campaign of this name.
func TestEarlierActionsSettleNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1)
		defer b.close()
		old := b.service.add(id(0), runner.Mark("c", 1)+" why", "Cancelled")
		if err := b.campaign.Prior(map[string][]string{id(0): {old.ID}}); err != nil {
			t.Fatal(err)
		}
		b.service.script = func(nth int, _ string) reply {
			if nth == 1 {
				return reply{err: errLost}
			}
			return accepted()
		}
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("accepted 1")
		b.effects(1)
	})
}

// TestMarkCutShort: a comment that came back without its end proves neither
// presence nor absence of our attempt. The action here has failed, so it is not
// what the attempt was for either.
func TestMarkCutShort(t *testing.T) {
	t.Parallel()
	for _, comment := range []string{"", "[offb", "[offboard c/"} {
		t.Run(comment, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 1)
				defer b.close()
				b.config.RetryFor = time.Minute
				b.service.script = func(int, string) reply {
					b.service.add(id(0), comment, defender.StatusFailed)
					return reply{err: errLost}
				}
				if _, err := b.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.want("in_doubt 1")
				if n := b.service.requests[id(0)]; n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// TestStorm answers nothing that can be understood for ten minutes. The workers
// pause together after five unknown outcomes and then probe one at a time.
func TestStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 100)
		defer b.close()
		over := time.Now().Add(10 * time.Minute)
		b.service.script = func(int, string) reply {
			if time.Now().Before(over) {
				return reply{err: errLost, takes: 100 * time.Millisecond}
			}
			return accepted()
		}
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("accepted 100")
		b.effects(100)
		lost := 0
		for _, n := range b.service.requests {
			lost += n - 1
		}
		if lost > runner.DefaultWorkers+10 {
			t.Errorf("%d requests went into the storm", lost)
		}
		if b.kinds()[runner.EventPaused] == 0 {
			t.Error("nobody said that the run paused")
		}
	})
}

// TestOutage: all workers wait for an unreachable service together.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 100)
		defer b.close()
		over, failed := time.Now().Add(10*time.Minute), 0
		b.service.script = func(int, string) reply {
			if time.Now().Before(over) {
				failed++
				return reply{err: errUnreachable}
			}
			return accepted()
		}
		sum, err := b.run(t.Context())
		if err != nil || sum.Sent != 100 {
			t.Fatalf("%+v, %v", sum, err)
		}
		b.want("accepted 100")
		// 1+2+4+…+60 s, then every minute: about 16 probes.
		if failed > 30 {
			t.Errorf("%d connections were tried in ten minutes", failed)
		}
	})
}

// TestBothFaults: an outage, then answers that cannot be understood, then all is
// well. The run must come to its end.
func TestBothFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 3)
		defer b.close()
		calls := 0
		b.service.script = func(int, string) reply {
			switch calls++; {
			case calls <= 3:
				return reply{err: errUnreachable}
			case calls <= 5:
				return reply{err: errLost}
			}
			return accepted()
		}
		began := time.Now()
		if _, err := b.run(t.Context()); err != nil || time.Since(began) > 20*time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		b.want("accepted 3")
	})
}

// TestBrokenLimiter: a limiter that fails ends the run; it is not asked for ever.
func TestBrokenLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 3)
		defer b.close()
		l := newLimiter(t)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		b.config.Calls = l
		if _, err := b.run(t.Context()); !errors.Is(err, limiter.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
		b.want("planned 3")
	})
}

// TestBrokenLists: a list that is out of order is waited for once, not once for
// each machine in doubt.
func TestBrokenLists(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 8)
		defer b.close()
		b.service.script = func(int, string) reply { return reply{err: errLost} }
		b.service.listErr = func() error { return meaning(defender.Unknown, 503, errors.New("out of order")) }
		began := time.Now()
		_, err := b.run(t.Context())
		if took := time.Since(began); took > 45*time.Minute || !errors.Is(err, runner.ErrUnreachable) {
			t.Errorf("%v after %s", err, took)
		}
		b.want("in_doubt 8")
	})
}

// TestStoppedWhileSettling: an answer that stops a request stops the run too when
// a list gets it, and the doubt stays as it is.
func TestStoppedWhileSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1)
		defer b.close()
		refused := meaning(defender.Stop, 401, defender.ErrSignIn)
		b.service.script = func(int, string) reply { return reply{err: errLost} }
		b.service.listErr = func() error { return refused }
		began := time.Now()
		if _, err := b.run(t.Context()); !errors.Is(err, refused) || time.Since(began) > time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		b.want("in_doubt 1")
	})
}

// TestWitnessFromAnEarlierRun: the list lags by more than the settling takes;
// an action that an earlier run had accepted shows it, whatever became of other
// machines since.
func TestWitnessFromAnEarlierRun(t *testing.T) {
	t.Parallel()
	// What is recorded of machine 49, which was begun before all others, after
	// all others.
	later := map[string]func(b *bench) error{
		"ours": func(b *bench) error {
			return b.campaign.Accept(id(49), journal.Action{ID: "ours", Status: "Pending"}, journal.Ours)
		},
		"adopted": func(b *bench) error {
			return b.campaign.Accept(id(49), journal.Action{ID: "theirs", Status: "Pending"}, journal.Adopted)
		},
		"verdict": func(b *bench) error {
			if err := b.campaign.Doubt(id(49), journal.Failure{Reason: journal.ReasonUnknown}); err != nil {
				return err
			}
			return b.campaign.Verdict(id(49), true, "seen", "me")
		},
	}
	for name, record := range later {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 50)
				defer func() { b.close() }()
				if _, err := b.campaign.Begin(id(49), 1); err != nil {
					t.Fatal(err)
				}
				b.service.lag = 9 * time.Minute
				b.service.script = func(nth int, m string) reply {
					if nth == 1 && m == id(3) {
						return reply{apply: true, err: errLost}
					}
					return accepted()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, err := b.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				b.want("sending 1, accepted 48, in_doubt 1")
				if err := record(b); err != nil {
					t.Fatal(err)
				}
				b.reopen()
				if _, err := b.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.want("accepted 50")
				b.effects(49)
			})
		})
	}
}

// TestSomebodyElseWasQuicker: while ours was lost on the way, another host had
// the machine offboarded. There is nothing left to send.
func TestSomebodyElseWasQuicker(t *testing.T) {
	t.Parallel()
	for _, status := range []string{defender.StatusPending, defender.StatusSucceeded} {
		for _, first := range []error{errLost, errActive} {
			t.Run(status+" "+first.Error(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := setup(t, 1)
					defer b.close()
					b.service.script = func(int, string) reply {
						b.service.add(id(0), "by somebody else", status)
						return reply{err: first}
					}
					if _, err := b.run(t.Context()); err != nil {
						t.Fatal(err)
					}
					e, err := b.campaign.Entry(id(0))
					if err != nil || e.Origin != journal.Adopted || b.service.requests[id(0)] != 1 {
						t.Errorf("%+v, %v after %d requests", e, err, b.service.requests[id(0)])
					}
				})
			})
		}
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 5)
		defer b.close()
		b.service.add(id(0), "live", defender.StatusPending)
		b.service.add(id(1), "done", defender.StatusSucceeded)
		b.service.add(id(2), "failed", "Failed")
		b.service.add(id(99), "not on the list", defender.StatusPending)
		c := b.config
		c.Record, c.Calls, c.ListCalls = b.campaign, newLimiter(t), newLimiter(t)
		r, err := runner.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Adopt(t.Context(), b.campaign); err != nil {
			t.Fatal(err)
		}
		b.want("planned 3, accepted 1, succeeded 1")
		b.service.listErr = func() error { return errForbidden }
		if err := r.Adopt(t.Context(), b.campaign); !errors.Is(err, runner.ErrTenantUnread) {
			t.Errorf("without permission: %v", err)
		}
	})
}

// TestOtherCampaignsDoubt settles a machine that another campaign left in
// doubt, before this one sends it.
func TestOtherCampaignsDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 3)
		defer func() { b.close() }()
		if _, err := b.campaign.Begin(id(1), 1); err != nil {
			t.Fatal(err)
		}
		b.reopen()
		first := b.campaign
		second, err := b.journal.StartCampaign(journal.Info{Name: "d", Comment: "why"})
		if err == nil {
			_, err = second.Enlist(journal.Enlistment{Machines: ids(3)})
		}
		if err != nil {
			t.Fatal(err)
		}
		b.config.Owner = func(name string) (runner.Record, error) { return b.journal.Campaign(name) }
		b.service.journal = func() *journal.Journal { return b.journal }
		b.service.script = func(int, string) reply { return accepted() }
		b.campaign = second
		b.service.campaign = "d"
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want("accepted 3")
		b.effects(3)
		b.campaign = first
		b.want("accepted 3")
	})
}
