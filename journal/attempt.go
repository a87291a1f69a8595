package journal

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// move is one transition of a machine on its way. Edit changes the record and
// completes the event; it may refuse before it changes anything.
type move struct {
	op   string
	kind Kind
	to   State
	edit func(b *batch, id rawID, r *record, e *Event) error
	// status is that of the action to be accepted, which may be final already.
	status string
}

// move carries out a transition and returns when it is on disk.
func (c *Campaign) move(machine string, m move) error {
	id, err := parseID(machine)
	if err == nil {
		err = c.j.do(m.op, c.moving(id, m))
	}
	if err != nil {
		return c.explain(m, machine, err)
	}
	return nil
}

func (c *Campaign) moving(id rawID, m move) func(*batch) error {
	return func(b *batch) error {
		if err := c.apply(b, id, m); err != nil {
			return c.explain(m, id.String(), err)
		}
		return nil
	}
}

// explain completes an error with what was tried on which machine.
func (c *Campaign) explain(m move, machine string, err error) error {
	err = c.j.explainCampaign(m.op, c.name, err)
	var known *Error
	if errors.As(err, &known) && known.Machine == "" {
		known.Machine = machine
	}
	return err
}

func (c *Campaign) apply(b *batch, id rawID, m move) error {
	g, err := b.look(id)
	if err != nil {
		return err
	}
	r, err := g.record(c.number)
	if err != nil {
		return err
	}
	if r == nil {
		return ErrNotFound
	}
	from := r.state
	e := &Event{Kind: m.kind, Campaign: c.name, MachineID: id.String(), From: from, To: m.to}
	if !allowed(m.kind, from, m.to) {
		return c.misplaced(m, r)
	}
	r.state = m.to
	if err := m.edit(b, id, r, e); err != nil {
		return err
	}
	e.Attempt, e.Authorised = int(r.attempts), int(r.authorised)
	b.putEvent(e)
	if next := c.follow(id, r, m); next != nil {
		b.putEvent(next)
	}
	r.updated = b.now
	b.putRecord(id.key(c.number), r)
	return nil
}

// follow carries out the transition that follows the move at once, and returns
// its event; nil when none does. An action may be final when it is first seen,
// and a machine that turns out not to be sent may have left the list meanwhile.
func (c *Campaign) follow(id rawID, r *record, m move) *Event {
	if m.to == InDoubt {
		return nil
	}
	leaving := r.Leaving
	r.Leaving = "" // what is known now of the machine has decided about it
	if m.to == Planned && leaving != "" {
		return c.exclude(id, r, leaving)
	}
	final, ok := finalStatus(m.status)
	if m.to != Accepted || !ok {
		return nil
	}
	r.state = final
	return &Event{Kind: KindSettled, Campaign: c.name, MachineID: id.String(), From: Accepted, To: final,
		Attempt: int(r.attempts), Authorised: int(r.authorised), ActionID: r.ActionID}
}

// misplaced explains why a machine cannot make a transition. A live machine is
// refused to Begin in the same words as one that another campaign holds.
func (c *Campaign) misplaced(m move, r *record) error {
	e := &Error{Path: c.j.path, Op: m.op, From: r.state, To: m.to, Err: ErrTransition}
	if (m.kind == KindIntent || m.kind == KindAuthorised) && r.state.Live() {
		e.By, e.At, e.Err = c.name, r.updated, fmt.Errorf("%w: %w", ErrTransition, heldError(r.state))
	}
	e.Hint = hintFor(e.Err)
	return e
}

func heldError(s State) error {
	if s == Sending || s == InDoubt {
		return ErrInDoubt
	}
	return ErrSettled
}

// Begin records that a request for the machine is about to be sent, with the
// limiter's token that it is spent on. Not a byte may leave before it has
// returned without an error; then exactly one of Accept, Reject, Doubt and
// Release has to follow.
//
// It refuses with [ErrSettled] when any campaign of the journal has the machine
// accepted or succeeded (but see [Campaign.Authorise]), with [ErrInDoubt] when one has it sending or in doubt
// (Error.By and Error.At tell which one, and since when), with [ErrTransition]
// when the machine is not planned here, and with [ErrNotEnlisted].
func (c *Campaign) Begin(machineID string, token uint64) (Attempt, error) {
	var a Attempt
	if err := c.move(machineID, c.beginning(token, &a)); err != nil {
		return Attempt{}, err
	}
	return a, nil
}

// beginning is the move of Begin, which fills in the attempt.
func (c *Campaign) beginning(token uint64, a *Attempt) move {
	return move{op: "begin", kind: KindIntent, to: Sending,
		edit: func(b *batch, id rawID, r *record, e *Event) error {
			if !c.stored.Load().Enlisted {
				return ErrNotEnlisted
			}
			prior, err := c.others(b, id, Sending)
			if err != nil {
				return err
			}
			r.attempts++
			r.Sent, r.Answered, r.Failure, r.Cancel = b.now, time.Time{}, nil, nil
			r.Prior = union(r.Prior, prior)
			e.Token = token
			*a = Attempt{Number: int(r.attempts), Comment: r.Comment, Prior: slices.Clone(r.Prior)}
			if a.Comment == "" {
				a.Comment = c.stored.Load().Comment
			}
			return nil
		}}
}

// others looks at what other campaigns know of the machine. It refuses when one
// of them holds it, and returns the ids of the actions they had.
func (c *Campaign) others(b *batch, id rawID, to State) ([]string, error) {
	g, err := b.look(id)
	if err != nil {
		return nil, err
	}
	var actions []string
	for _, h := range g.records {
		r, err := decodeRecord(h.key, h.value)
		if err != nil {
			return nil, err
		}
		if r.holds(c.number) {
			return nil, c.held(h.campaign, r, to)
		}
		if h.campaign != c.number && r.ActionID != "" {
			actions = append(actions, r.ActionID)
		}
	}
	return actions, nil
}

func (c *Campaign) held(by uint32, r *record, to State) error {
	name, err := c.j.nameOf(by)
	if err != nil {
		return err
	}
	cause := heldError(r.state)
	return &Error{Path: c.j.path, From: r.state, To: to, By: name, At: r.updated, Hint: hintFor(cause), Err: cause}
}
