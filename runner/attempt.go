package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"offboard/defender"
	"offboard/journal"
	"offboard/limiter"
)

// attempt is one machine's way: token, intent, one request, its meaning, the
// outcome on disk. It returns an error only for what stops the run.
func (r *Runner) attempt(take, flight context.Context, w work) error {
	token, err := r.token(take)
	if err != nil {
		r.queue.again(w)
		return nil //nolint:nilerr // stopping: the machine was not begun and stays planned
	}
	a, err := r.c.Record.Begin(w.machineID, token.ID())
	if err != nil {
		token.Unused()
		r.gate.abandoned()
		return r.skip(w, err)
	}
	// If we crash from here on, the journal says "sending" and the next run
	// treats the machine as in doubt.
	mark := Mark(r.name, a.Number)
	action, err := r.c.Service.Offboard(flight, w.machineID, strings.TrimSpace(mark+" "+a.Comment))
	r.answer(token, err)
	return r.outcome(take, w, a, action, err)
}

// token waits for the gate and then for a token. The gate may have been shut
// during the second wait, so it is asked again before anything is begun.
func (r *Runner) token(take context.Context) (*limiter.Token, error) {
	for {
		if err := r.gate.wait(take); err != nil {
			return nil, err
		}
		token, err := r.c.Calls.Take(take)
		if err != nil {
			return nil, err
		}
		if r.gate.enter() {
			return token, nil
		}
		token.Unused()
	}
}

func (r *Runner) skip(w work, err error) error {
	if errors.Is(err, journal.ErrSettled) || errors.Is(err, journal.ErrInDoubt) {
		r.emit(Event{Kind: EventSkipped, MachineID: w.machineID, Err: err})
		r.queue.done()
		return nil
	}
	return err
}

// answer tells the token what became of its call, at the moment of the answer:
// its window begins now, not when the outcome is on disk.
func (r *Runner) answer(t *limiter.Token, err error) {
	if spend(t, err) {
		r.sent.Add(1)
	}
	if errors.Is(err, defender.ErrThrottled) {
		r.throttled.Add(1)
	}
}

// spend tells a token what became of its call, and whether there was one.
func spend(t *limiter.Token, err error) bool {
	e, failed := asDefender(err)
	switch {
	case err == nil:
		t.Answered()
	case !failed:
		t.GivenUp()
	case errors.Is(err, defender.ErrThrottled):
		t.Refused(limiter.Throttle{Wait: e.RetryAfter, Period: e.Period})
	case e.Status != 0:
		t.Answered()
	case e.Meaning == defender.Unknown:
		t.GivenUp()
	default:
		t.Unused()
		return false
	}
	return true
}

// outcome decides by the answer's meaning what is recorded and what happens to
// the machine next. First the journal, then the queue: what the queue knows a
// crash forgets.
func (r *Runner) outcome(take context.Context, w work, a journal.Attempt, action defender.MachineAction, err error) error {
	if err == nil {
		return r.applied(w, a, action)
	}
	e, ok := asDefender(err)
	if !ok {
		return r.unknown(w, a, err)
	}
	switch e.Meaning {
	case defender.NotApplied:
		return r.notApplied(w, a, err)
	case defender.Refused:
		return r.refused(w, a, err)
	case defender.AlreadyActive:
		return r.alreadyActive(take, w, a, err)
	case defender.Stop:
		return r.stopped(w, err)
	default:
		return r.unknown(w, a, err)
	}
}

func (r *Runner) applied(w work, a journal.Attempt, action defender.MachineAction) error {
	// A duplicate submission can be answered with the pending action of
	// somebody else; its comment tells.
	origin := journal.Ours
	if c := action.RequestorComment; c != "" && !strings.HasPrefix(c, Mark(r.name, a.Number)) {
		origin = journal.Adopted
	}
	if err := r.c.Record.Accept(w.machineID, actionOf(action), origin); err != nil {
		return err
	}
	if origin == journal.Ours {
		r.settler.accepted(action)
	}
	r.gate.answered()
	r.finish(w, Event{Attempt: a.Number, State: journal.Accepted, ActionID: action.ID})
	return nil
}

func (r *Runner) notApplied(w work, a journal.Attempt, cause error) error {
	reason := journal.ReasonNotSent
	switch {
	case errors.Is(cause, defender.ErrThrottled):
		reason = journal.ReasonThrottled
	case errors.Is(cause, defender.ErrTokenRefused):
		reason = journal.ReasonTokenRefused
	}
	if err := r.c.Record.Release(w.machineID, failureOf(reason, cause)); err != nil {
		return err
	}
	r.queue.again(w)
	if reason != journal.ReasonNotSent {
		r.gate.answered()
		if reason == journal.ReasonThrottled {
			e, _ := asDefender(cause)
			r.emit(Event{Kind: EventThrottled, MachineID: w.machineID, Attempt: a.Number, Wait: e.RetryAfter, Err: cause})
		}
		return nil
	}
	pause, err := r.gate.unreachable()
	if err != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	r.emit(Event{Kind: EventPaused, Wait: pause, Err: cause})
	return nil
}

func (r *Runner) refused(w work, a journal.Attempt, cause error) error {
	r.gate.answered()
	if errors.Is(cause, defender.ErrNotFound) && !w.lookAgain {
		// The service is known to deny machines that it has while under
		// load, so the last word on them waits for the end.
		if err := r.c.Record.Release(w.machineID, failureOf(journal.ReasonNotFound, cause)); err != nil {
			return err
		}
		r.queue.later(w)
		return nil
	}
	if err := r.c.Record.Reject(w.machineID, failureOf(journal.ReasonRefused, cause)); err != nil {
		return err
	}
	r.finish(w, Event{Attempt: a.Number, State: journal.Rejected, Err: cause})
	return nil
}

// alreadyActive adopts the Offboard action that the service says is under way.
// Without seeing it we do not know whose it is, and the machine is in doubt.
func (r *Runner) alreadyActive(take context.Context, w work, a journal.Attempt, cause error) error {
	r.gate.answered()
	d := &doubt{owner: r.c.Record, campaign: r.name, machineID: w.machineID, attempt: a.Number, prior: a.Prior, active: true}
	found, err := r.settler.underway(take, d)
	if err != nil || found.sighting != present {
		return r.doubted(w, d, cause)
	}
	if err := r.c.Record.Accept(w.machineID, actionOf(found.action), found.origin); err != nil {
		return err
	}
	r.finish(w, Event{Attempt: a.Number, State: journal.Accepted, ActionID: found.action.ID})
	return nil
}

func (r *Runner) stopped(w work, cause error) error {
	if err := r.c.Record.Release(w.machineID, failureOf(journal.ReasonStopped, cause)); err != nil {
		return err
	}
	r.queue.again(w)
	r.gate.abandoned()
	return cause
}

func (r *Runner) unknown(w work, a journal.Attempt, cause error) error {
	d := &doubt{owner: r.c.Record, campaign: r.name, machineID: w.machineID, attempt: a.Number, prior: a.Prior}
	if err := r.doubted(w, d, cause); err != nil {
		return err
	}
	pause, err := r.gate.unknown()
	if err != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	if pause > 0 {
		r.emit(Event{Kind: EventPaused, Wait: pause, Err: cause})
	}
	return nil
}

// doubted records a machine as in doubt and hands it to the settler.
func (r *Runner) doubted(w work, d *doubt, cause error) error {
	if err := r.c.Record.Doubt(w.machineID, failureOf(journal.ReasonUnknown, cause)); err != nil {
		return err
	}
	r.settler.add(d)
	r.finish(w, Event{Attempt: d.attempt, State: journal.InDoubt, Err: cause})
	return nil
}

func (r *Runner) finish(w work, e Event) {
	e.Kind, e.MachineID = EventOutcome, w.machineID
	r.emit(e)
	r.queue.done()
}

func asDefender(err error) (*defender.Error, bool) {
	var e *defender.Error
	ok := errors.As(err, &e)
	return e, ok
}
