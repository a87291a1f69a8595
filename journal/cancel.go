package journal

import "time"

// Cancellation is what a campaign asked the service to undo of a machine's action,
// and how the service took that. What became of the action is the machine's state.
type Cancellation struct {
	Asked    time.Time    `json:"asked_at"` // the last time
	Reason   string       `json:"reason"`
	Operator string       `json:"operator,omitempty"`
	Outcome  CancelAnswer `json:"outcome,omitempty"`
	Failure  *Failure     `json:"error,omitempty"`
}

// CancelAnswer is how the service took a cancellation. "" means that nobody knows:
// the process ended during the request.
type CancelAnswer string

// The answers.
const (
	CancelTaken    CancelAnswer = "taken"     // the service took it; whether it came in time the action's status tells
	CancelNotTaken CancelAnswer = "not_taken" // certainly without effect; Failure says why
	CancelUnknown  CancelAnswer = "unknown"   // it may have had an effect; Failure says what is known
)

// Cancelling records that a request to cancel the machine's action is about to be
// sent, with the limiter's token that it is spent on. Not a byte may leave before
// it has returned without an error; then one of [Campaign.CancelTaken],
// [Campaign.Uncancelled] and [Campaign.CancelDoubted] follows. A process that ends
// before leaves the machine accepted, and a cancellation of unknown outcome.
//
// It is refused with [ErrTransition] unless the machine is accepted in this
// campaign, and with [ErrNotOurs] unless the campaign itself asked for the action.
func (c *Campaign) Cancelling(machineID, reason string, token uint64) error {
	return c.move(machineID, move{op: "cancel", kind: KindCancelling, to: Accepted,
		edit: func(b *batch, _ rawID, r *record, e *Event) error {
			if r.origin != Ours || r.ActionID == "" {
				return ErrNotOurs
			}
			r.Cancel = &Cancellation{Asked: b.now, Reason: reason, Operator: c.j.operator}
			e.ActionID, e.Reason, e.Operator, e.Token = r.ActionID, reason, c.j.operator, token
			return nil
		}})
}

// CancelTaken records that the service took a cancellation and answered with the
// action. When the action's status is final, the machine goes on to that state at
// once. It is refused with [ErrTransition] unless the machine is accepted and was
// to be cancelled, and with [ErrOtherAction] when the action is another one.
func (c *Campaign) CancelTaken(machineID string, a Action) error {
	return c.cancelled(machineID, move{kind: KindCancelTaken, status: a.Status}, CancelTaken, func(r *record, _ *Event) error {
		if r.ActionID != a.ID {
			return ErrOtherAction
		}
		r.action = jsonOf(a.Raw)
		return nil
	})
}

// Uncancelled records that a cancellation has certainly had no effect: the service
// refused it, or nothing was sent. It is refused as [Campaign.CancelTaken] is.
func (c *Campaign) Uncancelled(machineID string, f Failure) error {
	return c.cancelled(machineID, move{kind: KindUncancelled}, CancelNotTaken, f.ofCancellation)
}

// CancelDoubted records that nobody knows whether a cancellation had an effect. It
// is refused as [Campaign.CancelTaken] is.
func (c *Campaign) CancelDoubted(machineID string, f Failure) error {
	return c.cancelled(machineID, move{kind: KindCancelDoubted}, CancelUnknown, f.ofCancellation)
}

func (f Failure) ofCancellation(r *record, e *Event) error {
	r.Cancel.Failure, e.Failure = &f, &f
	return nil
}

func (c *Campaign) cancelled(machineID string, m move, answer CancelAnswer, edit func(*record, *Event) error) error {
	m.op, m.to = "record the cancellation of", Accepted
	m.edit = func(_ *batch, _ rawID, r *record, e *Event) error {
		if r.Cancel == nil {
			return ErrTransition
		}
		r.Cancel.Outcome, e.ActionID = answer, r.ActionID
		return edit(r, e)
	}
	return c.move(machineID, m)
}

// followCancellation takes into a record what an event says of a cancellation;
// false when it says nothing of one.
func (r *record) followCancellation(e *Event) bool {
	switch e.Kind {
	case KindCancelling:
		r.Cancel = &Cancellation{Asked: e.Time, Reason: e.Reason, Operator: e.Operator}
		return true
	case KindCancelTaken, KindUncancelled, KindCancelDoubted:
	default:
		return false
	}
	if r.Cancel == nil {
		r.Cancel = &Cancellation{} // the event that began it is lost
	}
	r.Cancel.Failure = e.Failure
	r.Cancel.Outcome = map[Kind]CancelAnswer{
		KindCancelTaken: CancelTaken, KindUncancelled: CancelNotTaken, KindCancelDoubted: CancelUnknown,
	}[e.Kind]
	return true
}
