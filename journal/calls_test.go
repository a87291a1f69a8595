package journal_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"offboard/journal"
)

// TestCalls: what reached the service, or may have, counts; what certainly did
// not, or was throttled, does not.
func TestCalls(t *testing.T) {
	t.Parallel()
	now := newClock()
	j := mustOpen(t, journalPath(t), journal.Options{Now: now.Now})
	c := started(t, j, "spring", machines(20))
	failure := func(r journal.Reason, status int) journal.Failure {
		return journal.Failure{Reason: r, HTTPStatus: status}
	}
	tests := []struct {
		name           string
		outcome        func(machine string) error
		counts, answer bool
	}{
		{"accepted", func(m string) error { return c.Accept(m, pending("a"), journal.Ours) }, true, true},
		{"accepted and final", func(m string) error { return c.Accept(m, withStatus(pending("a"), "Failed"), journal.Ours) }, true, true},
		{"rejected", func(m string) error { return c.Reject(m, failure(journal.ReasonRefused, 400)) }, true, true},
		{"doubt behind a gateway's answer", func(m string) error { return c.Doubt(m, failure(journal.ReasonUnknown, 502)) }, true, false},
		{"doubt without", func(m string) error { return c.Doubt(m, failure(journal.ReasonUnknown, 0)) }, true, false},
		{"throttled", func(m string) error { return c.Release(m, failure(journal.ReasonThrottled, 429)) }, false, false},
		{"not sent", func(m string) error { return c.Release(m, failure(journal.ReasonNotSent, 0)) }, false, false},
		{"stopped before it was sent", func(m string) error { return c.Release(m, failure(journal.ReasonStopped, 0)) }, false, false},
		{"stopped by an answer", func(m string) error { return c.Release(m, failure(journal.ReasonStopped, 403)) }, true, true},
		{"token refused", func(m string) error { return c.Release(m, failure(journal.ReasonTokenRefused, 401)) }, true, true},
		{"not found", func(m string) error { return c.Release(m, failure(journal.ReasonNotFound, 404)) }, true, true},
		{"under way", func(string) error { return nil }, true, false},
	}
	want := map[uint64]journal.Call{}
	for n, test := range tests {
		token := uint64(100 + n)
		sent := now.Now()
		_, err := c.Begin(id(n), token)
		must(t, err)
		now.advance(time.Second)
		must(t, test.outcome(id(n)))
		if test.counts {
			call := journal.Call{Token: token, Sent: sent}
			if test.answer {
				call.Answered = now.Now()
			}
			want[token] = call
		}
	}
	// Settled later, the doubt still went unanswered.
	now.advance(time.Minute)
	must(t, c.Accept(id(4), pending("late"), journal.Ours))
	compareCalls(t, j, now.Now().Add(-time.Hour), want)
	for token, call := range want {
		if call.Sent.Before(newClock().Now().Add(5*time.Second)) && call.Answered.Before(newClock().Now().Add(5*time.Second)) {
			delete(want, token)
		}
	}
	compareCalls(t, j, newClock().Now().Add(5*time.Second), want)
}

func compareCalls(t *testing.T, j *journal.Journal, since time.Time, want map[uint64]journal.Call) {
	t.Helper()
	got, err := j.Calls(since, journal.Chain{})
	must(t, err)
	if len(got) != len(want) {
		t.Errorf("%d calls since %v, want %d", len(got), since, len(want))
	}
	for _, call := range got {
		if want[call.Token] != call {
			t.Errorf("call %+v, want %+v", call, want[call.Token])
		}
	}
}

// TestRecover: what was under way when the process ended is in doubt.
func TestRecover(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	now := newClock()
	j := mustOpen(t, path, journal.Options{Now: now.Now})
	spring, summer := started(t, j, "spring", machines(4)), started(t, j, "summer", machines(8))
	for n := range 3 {
		begin(t, spring, id(n))
	}
	begin(t, summer, id(7))
	must(t, spring.Accept(id(0), pending("a"), journal.Ours))
	must(t, j.Close())
	j = mustOpen(t, path, journal.Options{Now: now.Now})
	entries, err := j.Recover()
	must(t, err)
	if len(entries) != 3 {
		t.Fatalf("recovered %d machines", len(entries))
	}
	for _, e := range entries {
		if e.State != journal.InDoubt || e.Failure.Reason != journal.ReasonProcessEnded {
			t.Errorf("recovered %+v", e)
		}
	}
	if again, err := j.Recover(); err != nil || len(again) != 0 {
		t.Errorf("second recovery: %v, %v", again, err)
	}
	calls, err := j.Calls(now.Now().Add(-time.Minute), journal.Chain{})
	must(t, err)
	unanswered := 0
	for _, call := range calls {
		if call.Answered.IsZero() {
			unanswered++
		}
	}
	if len(calls) != 4 || unanswered != 3 {
		t.Errorf("calls %+v", calls)
	}
}

// TestCallsAreThoseOfTheLog holds what is read backwards, from any moment on and
// after any state of the log, against the whole log read forwards.
func TestCallsAreThoseOfTheLog(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		now := newClock()
		j := mustOpen(t, journalPath(t), journal.Options{Now: now.Now})
		states := callAtRandom(t, j, now, rand.New(rand.NewPCG(seed, 0)))
		rapid.Check(t, func(t *rapid.T) {
			after := rapid.SampledFrom(states).Draw(t, "after")
			since := newClock().Now().Add(time.Duration(rapid.IntRange(-1, 60).Draw(t, "since")) * time.Minute)
			want := callsForwards(t, j, since, after)
			got, err := j.Calls(since, after)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range got {
				if want[call.Token] != call {
					t.Errorf("call %+v, want %+v", call, want[call.Token])
				}
				delete(want, call.Token)
			}
			if len(want) > 0 {
				t.Errorf("missing %+v", want)
			}
		})
	}
}

// callAtRandom makes some calls and returns the states that the log was in, and some
// that it never was in.
func callAtRandom(t *testing.T, j *journal.Journal, now *clock, random *rand.Rand) []journal.Chain {
	t.Helper()
	c := started(t, j, "spring", machines(4))
	states := []journal.Chain{{}, {Length: 2, Head: "ff"}, {Length: 1 << 40}}
	for token := range uint64(40) {
		machine := id(random.IntN(4))
		if _, err := c.Begin(machine, token+1); err != nil { // it is under way
			_ = []func() error{ // refused once it has ended
				func() error { return c.Accept(machine, pending("a"), journal.Ours) },
				func() error { return c.Doubt(machine, journal.Failure{Reason: journal.ReasonUnknown}) },
				func() error {
					return c.Release(machine, journal.Failure{Reason: journal.ReasonThrottled, HTTPStatus: 429})
				},
				func() error {
					return c.Release(machine, journal.Failure{Reason: journal.ReasonTokenRefused, HTTPStatus: 401})
				},
				func() error { return c.Release(machine, journal.Failure{Reason: journal.ReasonAbsent}) },
			}[(random.IntN(9)+1)/2]() // accepted, which it stays, least often
		}
		now.advance(time.Duration(random.IntN(180)) * time.Second)
		state, err := j.Chain()
		must(t, err)
		states = append(states, state)
	}
	return states
}

func callsForwards(t *rapid.T, j *journal.Journal, since time.Time, after journal.Chain) map[uint64]journal.Call {
	if len(after.Head) != 64 {
		after = journal.Chain{} // the log never was in it
	}
	calls, open := map[uint64]journal.Call{}, map[string]uint64{}
	for e, err := range j.Events() {
		if err != nil {
			t.Fatal(err)
		}
		token, under := open[e.MachineID]
		delete(open, e.MachineID)
		switch call := calls[token]; {
		case e.Kind == journal.KindIntent:
			open[e.MachineID] = e.Token
			if e.Seq > after.Length && !e.Time.Before(since.Add(-10*time.Minute)) {
				calls[e.Token] = journal.Call{Token: e.Token, Sent: e.Time}
			}
		case !under || call.Token == 0:
		case e.Uncounted():
			delete(calls, token)
		case e.Kind == journal.KindAccepted, e.Failure != nil && e.Failure.HTTPStatus != 0:
			call.Answered = e.Time
			calls[token] = call
		}
	}
	for token, call := range calls {
		if call.Sent.Before(since) && call.Answered.Before(since) {
			delete(calls, token)
		}
	}
	return calls
}
