package journal_test

import (
	"slices"
	"testing"

	"offboard/journal"
)

func TestStates(t *testing.T) {
	t.Parallel()
	live := []journal.State{journal.Sending, journal.InDoubt, journal.Accepted, journal.Succeeded}
	final := []journal.State{journal.Succeeded, journal.Failed, journal.TimedOut, journal.Cancelled, journal.Rejected}
	words := []string{"planned", "sending", "accepted", "succeeded", "failed", "timed_out", "cancelled", "rejected", "in_doubt", "excluded"}
	for i, s := range journal.States() {
		if s.String() != words[i] || s.Live() != slices.Contains(live, s) || s.Final() != slices.Contains(final, s) {
			t.Errorf("state %d: %s, live %v, final %v", i, s, s.Live(), s.Final())
		}
		text, err := s.MarshalText()
		must(t, err)
		var back journal.State
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s came back as %s, %v", s, back, err)
		}
	}
	for _, none := range []journal.State{0, 11} {
		if _, err := none.MarshalText(); err == nil || none.Live() || none.Final() {
			t.Errorf("%s counts as a state", none)
		}
	}
	var s journal.State
	for _, word := range []string{"", "Planned", "gone"} {
		if err := s.UnmarshalText([]byte(word)); err == nil {
			t.Errorf("%q was read as %s", word, s)
		}
	}
}

// TestFinalStatuses: a machine whose action is final when it is accepted is what
// it would be had the action been settled later. Words are read in any case.
func TestFinalStatuses(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(20))
	for n, want := range []struct {
		status string
		state  journal.State
	}{
		{"Succeeded", journal.Succeeded}, {"Failed", journal.Failed}, {"TimeOut", journal.TimedOut},
		{"Cancelled", journal.Cancelled}, {"Canceled", journal.Cancelled}, {"canceled", journal.Cancelled},
		{"Pending", journal.Accepted}, {"InProgress", journal.Accepted}, {"Canceling", journal.Accepted}, {"", journal.Accepted},
	} {
		once, later := id(2*n), id(2*n+1)
		for _, machine := range []string{once, later} {
			begin(t, c, machine)
		}
		a := withStatus(pending("a"), want.status)
		must(t, c.Accept(once, a, journal.Ours))
		must(t, c.Accept(later, pending("a"), journal.Ours))
		must(t, c.Settle(later, a))
		for _, machine := range []string{once, later} {
			if e := entry(t, c, machine); e.State != want.state {
				t.Errorf("%q is read as %s, want %s", want.status, e.State, want.state)
			}
		}
	}
}
