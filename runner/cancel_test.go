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

// undoing is a tenant that cancels. It fails the test by a request that has no
// intent on disk, or that is about an action which the campaign did not ask for.
type undoing struct {
	*tenant
	bench  *bench
	answer func(nth int, machineID string) reply // nth request for this machine, from 1; default: as asked for
	asked  map[string]int
}

func (s *undoing) Cancel(ctx context.Context, actionID, comment string) (defender.MachineAction, error) {
	s.mu.Lock()
	a := s.actionOf(actionID)
	s.asked[a.MachineID]++
	r := accepted()
	if s.answer != nil {
		r = s.answer(s.asked[a.MachineID], a.MachineID)
	}
	s.mu.Unlock()
	s.check(a.MachineAction, comment)
	wait(ctx, r.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.apply && a.Final() {
		return defender.MachineAction{}, meaning(defender.Refused, 400, errors.New("it is "+a.Status))
	}
	if r.apply {
		a.Status, a.CancellationComment, a.Cancelled, a.LastUpdated = defender.StatusCancelled, comment, time.Now(), time.Now()
	}
	return a.MachineAction, r.err
}

func (s *undoing) actionOf(id string) *listed {
	for i := range s.actions {
		if s.actions[i].ID == id {
			return &s.actions[i]
		}
	}
	s.t.Errorf("a request about the unknown action %q", id)
	return &listed{}
}

func (s *undoing) check(a defender.MachineAction, comment string) {
	e, err := s.bench.campaign.Entry(a.MachineID)
	if err != nil || e.State != journal.Accepted || e.Cancel == nil || e.Cancel.Outcome != "" || e.ActionID != a.ID {
		s.t.Errorf("a request to cancel %s without an intent on disk: %s %+v %v", a.MachineID, e.State, e.Cancel, err)
	}
	if !strings.HasPrefix(a.RequestorComment, runner.Mark("c", 1)) {
		s.t.Errorf("the action of %s was asked for as %q and is not ours", a.MachineID, a.RequestorComment)
	}
	if comment != "[offboard cancel c/1] wrong list" {
		s.t.Errorf("cancelled as %q", comment)
	}
}

// undo makes ready to cancel the bench's campaign.
func (b *bench) undo(answer func(nth int, machineID string) reply) (*runner.Canceller, *undoing) {
	b.t.Helper()
	s := &undoing{tenant: b.service, bench: b, answer: answer, asked: map[string]int{}}
	return runner.NewCanceller(runner.CancelConfig{
		Service: s, Record: b.campaign, Reason: "wrong list",
		Directory: runner.NewDirectory(b.service, newLimiter(b.t), runner.DefaultRetryFor, b.event),
		Workers:   4, RetryFor: runner.DefaultRetryFor, OnEvent: b.event,
	}), s
}

// doubt puts a machine in doubt.
func (b *bench) doubt(n int) {
	b.t.Helper()
	_, err := b.campaign.Begin(id(n), 1)
	if err == nil {
		err = b.campaign.Doubt(id(n), journal.Failure{Reason: journal.ReasonUnknown})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// resultsOf are what came of cancelling, by machine.
func resultsOf(all []runner.Undone) map[string]runner.Undone {
	found := map[string]runner.Undone{}
	for _, u := range all {
		found[u.MachineID] = u
	}
	return found
}

type undoCase struct {
	name   string
	given  func(b *bench, n int) // default: accepted, and its action pending
	answer func(nth int) reply   // default: cancelled
	result runner.CancelResult
	state  journal.State
	asked  int
}

func always(r reply) func(int) reply { return func(int) reply { return r } }

func once(r reply) func(int) reply {
	return func(nth int) reply {
		if nth == 1 {
			return r
		}
		return accepted()
	}
}

var undoCases = []undoCase{
	{name: "pending", result: runner.CancelDone, state: journal.Cancelled, asked: 1},
	{name: "lost on the way", answer: once(reply{err: errLost}), result: runner.CancelDone, state: journal.Cancelled, asked: 2},
	{name: "the answer lost", answer: once(reply{apply: true, err: errLost}), result: runner.CancelDone, state: journal.Cancelled, asked: 1},
	{name: "throttled", answer: once(reply{err: errThrottled}), result: runner.CancelDone, state: journal.Cancelled, asked: 2},
	{name: "not sent", answer: once(reply{err: errUnreachable}), result: runner.CancelDone, state: journal.Cancelled, asked: 2},
	{
		name: "a gateway's answer, always", answer: always(reply{err: meaning(defender.Unknown, 503, errors.New("gateway"))}),
		result: runner.CancelPending, state: journal.Accepted, asked: 3,
	},
	{name: "a gateway's answer, applied", answer: once(reply{apply: true, err: meaning(defender.Unknown, 502, errors.New("gateway"))}), result: runner.CancelDone, state: journal.Cancelled, asked: 1},
	{name: "refused", answer: always(reply{err: errRefused}), result: runner.CancelRefused, state: journal.Accepted, asked: 1},
	{name: "taken, not final", answer: always(reply{}), result: runner.CancelPending, state: journal.Accepted, asked: 1},
	{
		name:   "done before",
		given:  func(b *bench, n int) { b.accept(n); b.set(n, defender.StatusSucceeded) },
		result: runner.CancelTooLate, state: journal.Succeeded,
	},
	{
		name:   "cancelled in the portal before",
		given:  func(b *bench, n int) { b.accept(n); b.set(n, defender.StatusCancelled) },
		result: runner.CancelDone, state: journal.Cancelled,
	},
	{
		name: "done during the request",
		given: func(b *bench, n int) {
			b.accept(n)
			b.service.becomes(n, defender.StatusSucceeded, 100*time.Millisecond)
		},
		result: runner.CancelTooLate, state: journal.Succeeded, asked: 1,
	},
	{
		name:   "begun before",
		given:  func(b *bench, n int) { b.accept(n); b.set(n, defender.StatusInProgress) },
		result: runner.CancelOvertaken, state: journal.Cancelled, asked: 1,
	},
	{
		name:   "begun, and refused",
		given:  func(b *bench, n int) { b.accept(n); b.set(n, defender.StatusInProgress) },
		answer: always(reply{err: errRefused}), result: runner.CancelTooLate, state: journal.Accepted, asked: 1,
	},
	{name: "adopted", given: (*bench).adopted, result: runner.CancelNotOurs, state: journal.Accepted},
	{
		name: "a person's verdict",
		given: func(b *bench, n int) {
			b.doubt(n)
			if err := b.campaign.Verdict(id(n), true, "seen", "me"); err != nil {
				b.t.Fatal(err)
			}
		},
		result: runner.CancelNotOurs, state: journal.Accepted,
	},
	{name: "in doubt", given: (*bench).doubt, result: runner.CancelInDoubt, state: journal.InDoubt},
	{
		name: "in doubt, and arrived",
		given: func(b *bench, n int) {
			b.doubt(n)
			b.service.add(id(n), runner.Mark("c", 1)+" why", defender.StatusPending)
		},
		result: runner.CancelDone, state: journal.Cancelled, asked: 1,
	},
	{
		name: "in doubt, and somebody else's arrived",
		given: func(b *bench, n int) {
			b.doubt(n)
			b.service.add(id(n), "by hand", defender.StatusPending)
		},
		result: runner.CancelInDoubt, state: journal.InDoubt,
	},
}

// set gives a machine's newest action a status now.
func (b *bench) set(n int, status string) {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	for i := range b.service.actions {
		if b.service.actions[i].MachineID == id(n) {
			b.service.actions[i].Status = status
		}
	}
}

// adopted gives a machine an action of somebody else's.
func (b *bench) adopted(n int) {
	b.t.Helper()
	a := b.service.add(id(n), "by hand", defender.StatusPending)
	if err := b.campaign.Adopt(id(n), journal.Action{ID: a.ID, Status: a.Status, Raw: a.Raw}); err != nil {
		b.t.Fatal(err)
	}
}

// TestCancel: every machine ends in one result, as often asked for as it takes and
// not once more, and what is not ours is not asked for.
func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, len(undoCases)+1) // the last one is not sent
		defer b.close()
		for n, c := range undoCases {
			if c.given == nil {
				b.accept(n)
			} else {
				c.given(b, n)
			}
		}
		canceller, s := b.undo(func(nth int, machineID string) reply {
			for n, c := range undoCases {
				if id(n) == machineID && c.answer != nil {
					return c.answer(nth)
				}
			}
			return accepted()
		})
		before, err := b.journal.Chain()
		if err != nil {
			t.Fatal(err)
		}
		if found, err := canceller.Survey(t.Context()); err != nil || len(found) != len(undoCases) {
			t.Fatalf("%d machines, %v", len(found), err)
		}
		if after, err := b.journal.Chain(); err != nil || after != before {
			t.Errorf("the survey has written to the journal: %v", err)
		}
		all, summary, err := canceller.Cancel(t.Context(), newLimiter(t))
		if err != nil || len(all) != len(undoCases) {
			t.Errorf("%d machines, %v", len(all), err)
		}
		results, calls := resultsOf(all), 0
		for n, c := range undoCases {
			e, err := b.campaign.Entry(id(n))
			if u := results[id(n)]; err != nil || u.Result != c.result || e.State != c.state || s.asked[id(n)] != c.asked {
				t.Errorf("%s: %s, %s, asked %d times, %v; want %s, %s, %d times", c.name, u.Result, e.State, s.asked[id(n)], err, c.result, c.state, c.asked)
			}
			calls += c.asked
		}
		if summary.Sent != int64(calls-1) || summary.Throttled != 1 { // one was not sent
			t.Errorf("summary %+v after %d requests", summary, calls)
		}
		if _, err := b.journal.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestCancelAfterAKill: the process ended between intent and outcome. The next
// one looks first, and asks only where the request has had no effect.
func TestCancelAfterAKill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 3)
		defer b.close()
		b.accept(0, 1, 2)
		for n := range 3 {
			if err := b.campaign.Cancelling(id(n), "wrong list", uint64(n)); err != nil {
				t.Fatal(err)
			}
		}
		b.set(1, defender.StatusCancelled) // it had arrived
		b.set(2, defender.StatusSucceeded) // it had come too late
		b.reopen()
		b.want("accepted 3")
		canceller, s := b.undo(nil)
		if _, err := canceller.Survey(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, _, err := canceller.Cancel(t.Context(), newLimiter(t))
		if err != nil || len(all) != 3 || all[0].Result != runner.CancelDone || all[1].Result != runner.CancelDone || all[2].Result != runner.CancelTooLate {
			t.Errorf("%+v, %v", all, err)
		}
		if s.asked[id(0)] != 1 || len(s.asked) != 1 {
			t.Errorf("asked for %v", s.asked)
		}
		b.want("succeeded 1, cancelled 2")
	})
}

// TestCancelStops: whatever ends it, every machine is in one result, what was in
// flight is recorded, and the rest was not asked for.
func TestCancelStops(t *testing.T) {
	t.Parallel()
	const machines = 20
	for name, test := range map[string]struct {
		answer func(nth int, machineID string) reply
		stop   time.Duration
		err    error
	}{
		"forbidden":   {func(int, string) reply { return reply{err: errForbidden} }, 0, defender.ErrForbidden},
		"unreachable": {func(int, string) reply { return reply{err: errUnreachable} }, 0, runner.ErrUnreachable},
		"silent":      {func(int, string) reply { return reply{err: errLost} }, 0, runner.ErrUnreachable},
		"interrupted": {func(int, string) reply { return reply{apply: true, takes: time.Second} }, 2500 * time.Millisecond, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, machines)
				defer b.close()
				for n := range machines {
					b.accept(n)
				}
				canceller, s := b.undo(test.answer)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if _, err := canceller.Survey(ctx); err != nil {
					t.Fatal(err)
				}
				if test.stop > 0 {
					time.AfterFunc(test.stop, cancel)
				}
				all, _, err := canceller.Cancel(ctx, newLimiter(t))
				if !errors.Is(err, test.err) {
					t.Errorf("%v, want %v", err, test.err)
				}
				counts := map[runner.CancelResult]int{}
				for _, u := range all {
					counts[u.Result]++
					if (u.Result == runner.CancelNotAsked) != (s.asked[u.MachineID] == 0) && !errors.Is(err, runner.ErrUnreachable) && !errors.Is(err, defender.ErrForbidden) {
						t.Errorf("%+v, asked %d times", u, s.asked[u.MachineID])
					}
				}
				if len(all) != machines || counts[runner.ToCancel] > 0 {
					t.Errorf("results %v", counts)
				}
				if test.stop > 0 {
					// Three requests of a second by four workers.
					if counts[runner.CancelDone] != 12 || counts[runner.CancelNotAsked] != 8 {
						t.Errorf("results %v", counts)
					}
					b.want("accepted 8, cancelled 12")
				}
			})
		})
	}
}

// TestCancelNothing: a campaign without anything to cancel asks nobody.
func TestCancelNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 2)
		defer b.close()
		b.adopted(0)
		canceller, s := b.undo(nil)
		if found, err := canceller.Survey(t.Context()); err != nil || len(found) != 1 || b.service.looks != 0 {
			t.Errorf("%+v, %v, %d looks", found, err, b.service.looks)
		}
		if _, _, err := canceller.Cancel(t.Context(), newLimiter(t)); err != nil || len(s.asked) != 0 || b.service.looks != 0 {
			t.Errorf("%v, asked for %v, %d looks", err, s.asked, b.service.looks)
		}
		b.want("planned 1, accepted 1")
	})
}
