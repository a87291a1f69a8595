package journal_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"offboard/journal"
)

// TestCancelOnlyOurs: what somebody else asked for, and what only a person's word
// says was asked for, no campaign may cancel.
func TestCancelOnlyOurs(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(4)
	spring, summer := started(t, j, "spring", list), started(t, j, "summer", list)
	for n, steps := range [][]string{{"begin", "accept"}, {"adopt"}, {"begin", "doubt", "verdict applied"}, {"begin", "doubt"}} {
		for _, step := range steps {
			must(t, operate(spring, id(n), step))
		}
	}
	for n, want := range []error{nil, journal.ErrNotOurs, journal.ErrNotOurs, journal.ErrTransition} {
		if err := operate(spring, id(n), "cancelling"); !errors.Is(err, want) {
			t.Errorf("machine %d: %v, want %v", n, err, want)
		}
		if err := operate(summer, id(n), "cancelling"); !errors.Is(err, journal.ErrTransition) {
			t.Errorf("machine %d by another campaign: %v", n, err)
		}
		if e := entry(t, spring, id(n)); (e.Cancel != nil) != (want == nil) {
			t.Errorf("machine %d: cancellation %+v", n, e.Cancel)
		}
	}
	for _, op := range []string{"cancel taken", "cancel refused", "cancel doubted"} {
		if err := operate(spring, id(1), op); !errors.Is(err, journal.ErrTransition) {
			t.Errorf("%s without a request: %v", op, err)
		}
	}
	if err := spring.CancelTaken(id(0), pending("another")); !errors.Is(err, journal.ErrOtherAction) {
		t.Errorf("an answer with another action: %v", err)
	}
}

// TestCancellationIsTold: who asked, why and how it ended can be read from the
// record, the log and the export, and from a journal salvaged from this one.
func TestCancellationIsTold(t *testing.T) {
	t.Parallel()
	now := newClock()
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{Now: now.Now, Operator: "anna@host"})
	must(t, err)
	c := started(t, j, "spring", machines(4))
	asked := map[int]time.Time{}
	for n, steps := range [][]string{
		{"begin", "accept", "cancelling"},
		{"begin", "accept", "cancelling", "cancel done"},
		{"begin", "accept", "cancelling", "cancel refused", "succeeded"},
		{"begin", "accept", "cancelling", "cancel doubted", "cancelling", "cancel taken", "cancelled"},
	} {
		for _, step := range steps {
			now.advance(time.Second)
			if step == "cancelling" {
				asked[n] = now.Now()
			}
			must(t, operate(c, id(n), step))
		}
	}
	failure := &journal.Failure{Reason: journal.ReasonUnknown}
	wants := []struct {
		state  journal.State
		cancel journal.Cancellation
	}{
		{journal.Accepted, journal.Cancellation{}},
		{journal.Cancelled, journal.Cancellation{Outcome: journal.CancelTaken}},
		{journal.Succeeded, journal.Cancellation{Outcome: journal.CancelNotTaken, Failure: failure}},
		{journal.Cancelled, journal.Cancellation{Outcome: journal.CancelTaken}},
	}
	compare := func(c *journal.Campaign) {
		t.Helper()
		for n, want := range wants {
			want.cancel.Asked, want.cancel.Reason, want.cancel.Operator = asked[n], "wrong list", "anna@host"
			e := entry(t, c, id(n))
			if e.State != want.state || !reflect.DeepEqual(e.Cancel, &want.cancel) || e.Failure != nil {
				t.Errorf("machine %d is %s, %+v, %v; want %s, %+v", n, e.State, e.Cancel, e.Failure, want.state, want.cancel)
			}
		}
	}
	compare(c)
	var export bytes.Buffer
	must(t, j.Export(&export))
	for _, want := range []string{
		`"event":"cancelling","time":`, `"event":"cancel_taken"`, `"event":"uncancelled"`, `"event":"cancel_doubted"`,
		`"reason":"wrong list","operator":"anna@host"`, `"cancel":{"asked_at":"`, `"outcome":"not_taken"`,
	} {
		if !strings.Contains(export.String(), want) {
			t.Errorf("the export lacks %s", want)
		}
	}
	must(t, j.Close())
	fresh := filepath.Join(t.TempDir(), "fresh.journal")
	_, err = journal.Salvage(t.Context(), path, fresh, contoso, journal.Options{})
	must(t, err)
	salvaged, err := mustOpen(t, fresh, journal.Options{}).Campaign("spring")
	must(t, err)
	compare(salvaged)
}

// TestCancelCalls: the requests to cancel have a quota of their own, and are told
// from those to offboard.
func TestCancelCalls(t *testing.T) {
	t.Parallel()
	now := newClock()
	j := mustOpen(t, journalPath(t), journal.Options{Now: now.Now})
	c := started(t, j, "spring", machines(6))
	since := now.Now().Add(-time.Hour)
	want := map[uint64]journal.Call{}
	for n, test := range []struct {
		outcome        func(machine string) error
		counts, answer bool
	}{
		{func(m string) error { return operate(c, m, "cancel done") }, true, true},
		{func(m string) error {
			return c.Uncancelled(m, journal.Failure{Reason: journal.ReasonRefused, HTTPStatus: 400})
		}, true, true},
		{func(m string) error {
			return c.Uncancelled(m, journal.Failure{Reason: journal.ReasonThrottled, HTTPStatus: 429})
		}, false, false},
		{func(m string) error { return c.Uncancelled(m, journal.Failure{Reason: journal.ReasonNotSent}) }, false, false},
		{func(m string) error {
			return c.CancelDoubted(m, journal.Failure{Reason: journal.ReasonUnknown, HTTPStatus: 502})
		}, true, false},
		{func(m string) error { return operate(c, m, "succeeded") }, true, false}, // killed, and settled later
	} {
		must(t, operate(c, id(n), "begin"))
		must(t, operate(c, id(n), "accept"))
		now.advance(time.Second)
		call := journal.Call{Token: uint64(100 + n), Sent: now.Now()}
		must(t, c.Cancelling(id(n), "wrong list", call.Token))
		now.advance(time.Second)
		must(t, test.outcome(id(n)))
		if test.answer {
			call.Answered = now.Now()
		}
		if test.counts {
			want[call.Token] = call
		}
	}
	got, err := j.CancelCalls(since)
	must(t, err)
	if len(got) != len(want) {
		t.Errorf("%d calls, want %d", len(got), len(want))
	}
	for _, call := range got {
		if want[call.Token] != call {
			t.Errorf("call %+v, want %+v", call, want[call.Token])
		}
	}
	if calls, err := j.Calls(since, journal.Chain{}); err != nil || len(calls) != 6 {
		t.Errorf("%d calls to offboard, %v", len(calls), err)
	}
}
