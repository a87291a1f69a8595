package journal

// Kind says what an event records.
type Kind string

// The kinds of events. Down to those of a cancellation they concern one machine, and
// most move it to another state; the others concern a campaign.
const (
	KindIntent   Kind = "intent"   // a request is about to be sent: planned → sending
	KindAccepted Kind = "accepted" // an action exists: sending or in_doubt → accepted
	KindSettled  Kind = "settled"  // the action came to its end: accepted → succeeded, failed, timed_out or cancelled
	KindAdopted  Kind = "adopted"  // the tenant's list showed an action before we sent: planned → accepted
	KindRejected Kind = "rejected" // the service refused: sending → rejected
	KindDoubted  Kind = "doubted"  // the outcome is unknown: sending → in_doubt
	KindReleased Kind = "released" // certainly not applied: sending or in_doubt → planned
	KindVerdict  Kind = "verdict"  // a person decided: in_doubt → accepted or planned
	KindExcluded Kind = "excluded" // left out by a later list: planned → excluded
	KindReturned Kind = "returned" // back on the list: excluded → planned
	// A person's word that it is sent once more: from its end, or before the first
	// send in a campaign that knows of an end elsewhere; By, if set, is this campaign.
	KindAuthorised Kind = "authorised"
	// Its success holds the machine no longer against the campaign By: no change of state.
	KindSuperseded Kind = "superseded"
	KindSalvaged   Kind = "salvaged" // what a damaged journal still told: from any state to any; Attempt counts those until then

	KindCancelling    Kind = "cancelling"     // a request to cancel its action is about to be sent; it stays accepted, as with the three that follow
	KindCancelTaken   Kind = "cancel_taken"   // the service took it; where it came in time, the next event settles the machine
	KindUncancelled   Kind = "uncancelled"    // it had no effect: refused, or nothing was sent
	KindCancelDoubted Kind = "cancel_doubted" // whether it had an effect is unknown

	KindStarted  Kind = "started"  // a campaign began
	KindUpdated  Kind = "updated"  // its comment or rules changed
	KindEnlisted Kind = "enlisted" // it took a list
	KindPrior    Kind = "prior"    // earlier actions of its machines were noted
	KindRebuilt  Kind = "rebuilt"  // it was salvaged from a damaged journal, with so many machines
)

type transition struct {
	kind     Kind
	from, to State
}

// transitions is the whole state machine, but for the salvage of a damaged
// journal, which leaves out what was lost. What is not in it cannot happen: an
// operation that tries returns [ErrTransition], a log that shows it is damaged.
var transitions = [...]transition{
	{KindIntent, Planned, Sending},
	{KindAccepted, Sending, Accepted},
	{KindAccepted, InDoubt, Accepted},
	{KindSettled, Accepted, Succeeded},
	{KindSettled, Accepted, Failed},
	{KindSettled, Accepted, TimedOut},
	{KindSettled, Accepted, Cancelled},
	{KindAdopted, Planned, Accepted},
	{KindRejected, Sending, Rejected},
	{KindDoubted, Sending, InDoubt},
	{KindReleased, Sending, Planned},
	{KindReleased, InDoubt, Planned},
	{KindVerdict, InDoubt, Accepted},
	{KindVerdict, InDoubt, Planned},
	{KindExcluded, Planned, Excluded},
	{KindReturned, Excluded, Planned},
	{KindCancelling, Accepted, Accepted},
	{KindCancelTaken, Accepted, Accepted},
	{KindUncancelled, Accepted, Accepted},
	{KindCancelDoubted, Accepted, Accepted},
	{KindAuthorised, Planned, Planned},
	{KindAuthorised, Rejected, Planned},
	{KindAuthorised, Failed, Planned},
	{KindAuthorised, TimedOut, Planned},
	{KindAuthorised, Cancelled, Planned},
	{KindAuthorised, Succeeded, Planned},
	{KindSuperseded, Succeeded, Succeeded},
	{KindSuperseded, Failed, Failed}, // after a success: the machine was sent again
	{KindSuperseded, TimedOut, TimedOut},
	{KindSuperseded, Cancelled, Cancelled},
	{KindSuperseded, Rejected, Rejected},
	{KindSuperseded, Excluded, Excluded},
}

func allowed(k Kind, from, to State) bool {
	if k == KindSalvaged {
		return from.valid() && to.valid()
	}
	for _, t := range transitions {
		if t == (transition{k, from, to}) {
			return true
		}
	}
	return false
}

// moves says whether events of this kind concern a machine, and have its states.
func (k Kind) moves() bool {
	if k == KindSalvaged {
		return true
	}
	for _, t := range transitions {
		if t.kind == k {
			return true
		}
	}
	return false
}
