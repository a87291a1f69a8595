package runner

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"offboard/defender"
	"offboard/journal"
)

// cancelRounds is how often a machine's action is asked to be cancelled while the
// outcome is unknown. Each time the list is looked at before.
const cancelRounds = 3

// Cancel asks for every action that the survey found not final, under the quota of
// the cancel API, and returns what came of all of them. What the survey found ended
// is recorded first. A request whose outcome is unknown is looked after before it is made again: the action is
// the same, so asking twice does no harm.
//
// The error is ctx's after an orderly stop, [ErrUnreachable], a *[defender.Error]
// that means [defender.Stop] or where listing is refused, the journal's, or
// [ErrPanic]. What was known until then is recorded.
func (c *Canceller) Cancel(ctx context.Context, calls Limiter) ([]Undone, Summary, error) {
	c.calls = calls
	err := c.cancel(ctx)
	for _, u := range c.all {
		if u.Result == ToCancel {
			u.Result = CancelNotAsked
		}
	}
	return c.results(), Summary{Sent: c.sent.Load(), Throttled: c.throttled.Load()}, err
}

func (c *Canceller) cancel(ctx context.Context) error {
	for _, u := range c.all {
		if err := c.record(u); err != nil {
			return err
		}
	}
	open := c.those(func(u *undo) bool { return u.Result == ToCancel })
	for range cancelRounds {
		if len(open) == 0 {
			return nil
		}
		if err := c.askAll(ctx, open); err != nil {
			return err
		}
		if err := c.review(ctx); err != nil {
			return err
		}
		open = c.those(func(u *undo) bool { return u.Result == CancelPending && u.unknown })
	}
	return nil
}

func (c *Canceller) those(are func(*undo) bool) (some []*undo) {
	for _, u := range c.all {
		if are(u) {
			some = append(some, u)
		}
	}
	return some
}

// record writes to the journal what a look has found.
func (c *Canceller) record(u *undo) error {
	switch {
	case u.settled || u.seen.ID == "":
		return nil
	case u.doubted:
		// It arrived after all. From here on it is as any accepted machine.
		if err := c.c.Record.Accept(u.MachineID, actionOf(u.seen), journal.Ours); err != nil {
			return err
		}
		u.doubted, u.settled = false, u.seen.Final()
	case u.seen.Final():
		if err := c.c.Record.Settle(u.MachineID, actionOf(u.seen)); err != nil {
			return err
		}
		u.settled = true
	}
	if u.settled {
		u.end()
		if u.unknown {
			u.Failure = nil // it is known now what became of it
		}
		c.c.OnEvent(Event{Kind: EventEnded, MachineID: u.MachineID, State: stateOf(u.seen), ActionID: u.ActionID})
	}
	return nil
}

// review looks at what is not final after the requests. Whatever the service
// answered, the list has the last word: the device may have been faster.
func (c *Canceller) review(ctx context.Context) error {
	left := c.those(func(u *undo) bool { return u.Result == CancelPending || u.Result == CancelRefused })
	if err := c.look(ctx, left); err != nil {
		return err
	}
	for _, u := range left {
		if err := c.record(u); err != nil {
			return err
		}
		if u.Result == CancelRefused && u.seen.Status == defender.StatusInProgress {
			u.Result = CancelTooLate
		}
	}
	return nil
}

// askAll makes a request for each. The contexts are those of [Runner.Run].
func (c *Canceller) askAll(ctx context.Context, open []*undo) error {
	workers, take := errgroup.WithContext(ctx)
	flight := context.WithoutCancel(ctx)
	var next atomic.Int64
	for range min(c.c.Workers, len(open)) {
		workers.Go(guarded(func() error {
			for i := next.Add(1); i <= int64(len(open)); i = next.Add(1) {
				if err := c.ask(take, flight, open[i-1]); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// ask makes the request for one machine, as often as it certainly has no effect
// and may be made again.
func (c *Canceller) ask(take, flight context.Context, u *undo) error {
	for again := true; again; {
		token, pass, err := c.gate.await(take, c.calls)
		if err != nil {
			return err
		}
		if err := c.c.Record.Cancelling(u.MachineID, c.c.Reason, token.ID()); err != nil {
			token.Unused()
			pass.abandoned()
			return err
		}
		// If we crash from here on, the machine is accepted, and the next
		// cancellation looks at its action before it asks.
		action, err := c.c.Service.Cancel(flight, u.ActionID, CancelMark(c.name, u.attempt)+" "+c.c.Reason)
		if spend(token, err) {
			c.sent.Add(1)
		}
		if again, err = c.outcome(u, pass, action, err); err != nil {
			return err
		}
	}
	return nil
}

// outcome decides by the answer's meaning what is recorded, and whether to ask
// again at once. First the journal, then what this process knows.
func (c *Canceller) outcome(u *undo, p *pass, action defender.MachineAction, cause error) (again bool, err error) {
	u.unknown, u.Failure = false, nil
	if cause == nil {
		err = c.taken(u, action)
		p.answered()
		return false, err
	}
	meaning := defender.Unknown
	if e, ok := asDefender(cause); ok {
		meaning = e.Meaning
	}
	switch meaning {
	case defender.NotApplied:
		return true, c.notApplied(u, p, cause)
	case defender.Refused, defender.AlreadyActive:
		p.answered()
		u.Result = CancelRefused
		return false, c.refused(u, journal.ReasonRefused, cause)
	case defender.Stop:
		p.abandoned()
		return false, errors.Join(c.refused(u, journal.ReasonStopped, cause), cause)
	default:
		return false, c.doubt(u, p, cause)
	}
}

// taken records an answer with the action. It is final already as a rule.
func (c *Canceller) taken(u *undo, action defender.MachineAction) error {
	if err := c.c.Record.CancelTaken(u.MachineID, actionOf(action)); err != nil {
		return err
	}
	u.see(action)
	u.Result = CancelPending
	if u.settled = action.Final(); u.settled {
		u.end()
	}
	c.tell(u, nil)
	return nil
}

func (c *Canceller) refused(u *undo, reason journal.Reason, cause error) error {
	f := failureOf(reason, cause)
	if err := c.c.Record.Uncancelled(u.MachineID, f); err != nil {
		return err
	}
	u.Failure = &f
	c.tell(u, cause)
	return nil
}

func (c *Canceller) notApplied(u *undo, p *pass, cause error) error {
	reason := notAppliedReason(cause)
	if reason == journal.ReasonThrottled {
		e, _ := asDefender(cause)
		c.throttled.Add(1)
		c.c.OnEvent(Event{Kind: EventThrottled, MachineID: u.MachineID, Wait: e.RetryAfter, Err: cause})
	}
	if err := c.c.Record.Uncancelled(u.MachineID, failureOf(reason, cause)); err != nil {
		return err
	}
	if reason == journal.ReasonNotSent {
		return pauseAll(cause, p.unreachable, c.c.OnEvent)
	}
	p.answered() // the limiter makes everyone wait
	return nil
}

func (c *Canceller) doubt(u *undo, p *pass, cause error) error {
	f := failureOf(journal.ReasonUnknown, cause)
	if err := c.c.Record.CancelDoubted(u.MachineID, f); err != nil {
		return err
	}
	u.unknown, u.Failure, u.Result = true, &f, CancelPending
	c.tell(u, cause)
	return pauseAll(cause, p.unknown, c.c.OnEvent)
}

func (c *Canceller) tell(u *undo, cause error) {
	state := journal.Accepted
	if u.settled {
		state = stateOf(u.seen)
	}
	c.c.OnEvent(Event{Kind: EventCancelAnswered, MachineID: u.MachineID, ActionID: u.ActionID, State: state, Err: cause})
}
