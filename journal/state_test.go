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
