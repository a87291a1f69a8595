package journal

import (
	"fmt"
	"slices"
	"strings"
)

// Accept records that the service has an action for the machine: the answer to
// the request under way, or what a later look at the tenant's actions showed of
// a machine in doubt. When the action's status is final already, the machine
// goes on to that state at once.
//
// It is refused with [ErrTransition] unless the machine is sending or in doubt,
// and with [ErrOtherAction] when a doubt is to be settled as ours with an action
// that was recorded before the attempt, or anything with one that was over when the
// machine was authorised to be sent again.
func (c *Campaign) Accept(machineID string, a Action, o Origin) error {
	return c.move(machineID, accepting(a, o))
}

// AcceptAndBegin is [Campaign.Accept] of one machine and [Campaign.Begin] of the
// next in one commit, for half the price of two. Each succeeds or is refused by
// itself and has its own error; a commit that fails fails both.
func (c *Campaign) AcceptAndBegin(machineID string, a Action, o Origin, next string, token uint64) (_ Attempt, accepted, begun error) {
	id, wrong := parseID(machineID)
	nextID, nextWrong := parseID(next)
	if wrong != nil || nextWrong != nil {
		accepted = c.Accept(machineID, a, o)
		attempt, begun := c.Begin(next, token)
		return attempt, accepted, begun
	}
	var attempt Attempt
	accept, begin := accepting(a, o), c.beginning(token, &attempt)
	results := c.j.together(c.moving(id, accept), c.moving(nextID, begin))
	if accepted = results[0]; accepted != nil {
		accepted = c.explain(accept, machineID, accepted)
	}
	if begun = results[1]; begun != nil {
		return Attempt{}, accepted, c.explain(begin, next, begun)
	}
	return attempt, accepted, nil
}

// accepting is the move of Accept.
func accepting(a Action, o Origin) move {
	a.Raw = jsonOf(a.Raw) // here, where no other change waits for it
	return move{op: "accept", kind: KindAccepted, to: Accepted, status: a.Status,
		edit: func(b *batch, _ rawID, r *record, e *Event) error {
			if _, known := o.code(); !known || o == "" {
				return fmt.Errorf("unknown origin %q", o)
			}
			if e.From == InDoubt && o == Ours && slices.Contains(r.Prior, a.ID) || slices.Contains(r.Past, a.ID) {
				return ErrOtherAction
			}
			if e.From == Sending {
				r.Answered = b.now
			}
			r.accept(a, o)
			e.ActionID, e.Origin = a.ID, o
			return nil
		}}
}

// Adopt records an action that the tenant's list showed before the first send.
// It is refused with [ErrTransition] unless the machine is planned, with
// [ErrSettled] or [ErrInDoubt] when another campaign holds a live record of it, and
// with [ErrOtherAction] when the action was over when the machine was authorised to
// be sent again.
func (c *Campaign) Adopt(machineID string, a Action) error {
	a.Raw = jsonOf(a.Raw)
	return c.move(machineID, move{op: "adopt", kind: KindAdopted, to: Accepted, status: a.Status,
		edit: func(b *batch, id rawID, r *record, e *Event) error {
			if _, err := c.others(b, id, Accepted); err != nil {
				return err
			}
			if slices.Contains(r.Past, a.ID) {
				return ErrOtherAction
			}
			r.accept(a, Adopted)
			e.ActionID, e.Origin = a.ID, Adopted
			return nil
		}})
}

// Settle records the end of an accepted machine's action. A status that is not
// final changes nothing. It is refused with [ErrTransition] unless the machine
// is accepted, and with [ErrOtherAction] when its record names another action.
func (c *Campaign) Settle(machineID string, a Action) error {
	final, ok := finalStatus(a.Status)
	if !ok {
		return nil
	}
	a.Raw = jsonOf(a.Raw)
	return c.move(machineID, move{op: "settle", kind: KindSettled, to: final,
		edit: func(_ *batch, _ rawID, r *record, e *Event) error {
			if r.ActionID != "" && r.ActionID != a.ID || slices.Contains(r.Past, a.ID) {
				return ErrOtherAction
			}
			r.ActionID, r.action = a.ID, a.Raw
			e.ActionID = a.ID
			return nil
		}})
}

// Reject records that the service refused the request for good. It is refused
// with [ErrTransition] unless the machine is sending.
func (c *Campaign) Reject(machineID string, f Failure) error {
	return c.fail(machineID, move{op: "reject", kind: KindRejected, to: Rejected}, f)
}

// Doubt records that nobody knows whether the request had an effect. It is
// refused with [ErrTransition] unless the machine is sending.
func (c *Campaign) Doubt(machineID string, f Failure) error {
	return c.fail(machineID, move{op: "doubt", kind: KindDoubted, to: InDoubt}, f)
}

// Release records that the request has certainly had no effect, so that the
// machine may be sent again. One that has left the list meanwhile, see
// [Campaign.Enlist], goes on to excluded at once. With [ReasonNotFound] the look
// is counted. It is refused with [ErrTransition] unless the machine is sending
// or in doubt.
func (c *Campaign) Release(machineID string, f Failure) error {
	return c.fail(machineID, move{op: "release", kind: KindReleased, to: Planned}, f)
}

func (c *Campaign) fail(machineID string, m move, f Failure) error {
	m.edit = func(b *batch, _ rawID, r *record, e *Event) error {
		if e.From == Sending && f.HTTPStatus != 0 {
			r.Answered = b.now
		}
		if m.kind == KindReleased && f.Reason == ReasonNotFound {
			r.notFound++
		}
		r.Failure, e.Failure = &f, &f
		return nil
	}
	return c.move(machineID, m)
}

// Verdict records what a person, who, has found out about a machine in doubt
// and why they say so: the request was applied, or not. In the second case a
// machine that has left the list meanwhile, see [Campaign.Enlist], goes on to
// excluded at once. It is refused with [ErrTransition] unless the machine is in
// doubt.
func (c *Campaign) Verdict(machineID string, applied bool, reason, who string) error {
	to := Planned
	if applied {
		to = Accepted
	}
	return c.move(machineID, move{op: "record the verdict on", kind: KindVerdict, to: to,
		edit: func(_ *batch, _ rawID, r *record, e *Event) error {
			r.Reason, e.Reason, e.Operator = reason, reason, who
			if applied {
				r.origin, e.Origin, r.Failure = Verdict, Verdict, nil
			} else {
				r.Failure = &Failure{Reason: ReasonVerdict, Message: reason}
			}
			return nil
		}})
}

func (r *record) accept(a Action, o Origin) {
	r.origin, r.ActionID, r.action, r.Failure = o, a.ID, a.Raw, nil
}

// finalStatus returns the state that a final status of a MachineAction means.
// The documentation has spelled the last one both ways.
func finalStatus(status string) (State, bool) {
	switch strings.ToLower(status) {
	case "succeeded":
		return Succeeded, true
	case "failed":
		return Failed, true
	case "timeout":
		return TimedOut, true
	case "cancelled", "canceled":
		return Cancelled, true
	}
	return 0, false
}
