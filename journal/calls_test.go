package journal_test

import (
	"testing"
	"time"

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
	got, err := j.Calls(since)
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
	calls, err := j.Calls(now.Now().Add(-time.Minute))
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
