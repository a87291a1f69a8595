package journal

import "fmt"

// State is where a machine stands in a campaign. The zero State is none at all.
type State uint8

// The states, in the order of a machine's life.
const (
	Planned   State = iota + 1 // on the list, nothing was sent or all that was sent had certainly no effect
	Sending                    // the intent is on disk and the request may be under way
	Accepted                   // the service has an Offboard action for it
	Succeeded                  // that action succeeded
	Failed                     // that action failed
	TimedOut                   // that action timed out
	Cancelled                  // that action was cancelled
	Rejected                   // the service refused the request
	InDoubt                    // nobody knows yet whether the request had an effect
	Excluded                   // left out: not on the list any more, or excluded by it
)

const stateCount = int(Excluded)

// stateNames are the words of the output contract.
var stateNames = [stateCount + 1]string{
	Planned: "planned", Sending: "sending", Accepted: "accepted", Succeeded: "succeeded", Failed: "failed",
	TimedOut: "timed_out", Cancelled: "cancelled", Rejected: "rejected", InDoubt: "in_doubt", Excluded: "excluded",
}

// States returns all states in their order.
func States() []State {
	all := make([]State, 0, stateCount)
	for s := Planned; s <= Excluded; s++ {
		all = append(all, s)
	}
	return all
}

func (s State) valid() bool { return s >= Planned && s <= Excluded }

// String returns the state's word in the output contract, such as "in_doubt".
func (s State) String() string {
	if !s.valid() {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return stateNames[s]
}

// MarshalText returns the state's word; a State that is none is an error.
func (s State) MarshalText() ([]byte, error) {
	if !s.valid() {
		return nil, fmt.Errorf("journal: %d is no state", uint8(s))
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText reads a state's word.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if i > 0 && name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("journal: %q is no state", text)
}

// Live says that the service may hold, or has carried out, an Offboard action
// for the machine, so that no campaign may send it: sending, in_doubt, accepted
// and succeeded.
func (s State) Live() bool {
	return s == Sending || s == InDoubt || s == Accepted || s == Succeeded
}

// Final says that nothing more happens to the machine in this campaign:
// succeeded, failed, timed_out, cancelled and rejected. Excluded is not final,
// since a later list may bring the machine back.
func (s State) Final() bool { return s >= Succeeded && s <= Rejected }

// Origin says on whose word a machine counts as accepted.
type Origin string

// The origins. A record that was never accepted has none ("").
const (
	Ours    Origin = "ours"    // the answer to our own request, or an action that carries our mark
	Adopted Origin = "adopted" // an action that somebody else asked for
	Verdict Origin = "verdict" // a person said so
)

// originCodes are the origins as a record's header holds them; their order is
// part of the file's schema.
var originCodes = [...]Origin{"", Ours, Adopted, Verdict}

func (o Origin) code() (byte, bool) {
	for i, known := range originCodes {
		if o == known {
			return byte(i), true
		}
	}
	return 0, false
}
