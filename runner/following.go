package runner

import (
	"context"

	"offboard/defender"
	"offboard/internal/failpoint"
	"offboard/journal"
)

// next takes another machine and the right to send it, if both are to be had at
// once: an outcome waits for nothing. It asks everything that attempt asks, but for
// the wave, which the machine before has opened.
func (r *Runner) next(take context.Context) (n admission, ok bool) {
	if take.Err() != nil || !r.queue.waiting() || !r.account.spend() {
		return n, false
	}
	if n.token, n.pass = r.gate.tryAwait(r.c.Calls); n.token != nil {
		if n.work, ok = r.nextWork(); ok {
			return n, true
		}
		n.token.Unused()
		n.pass.abandoned()
	}
	r.account.refund()
	return n, false
}

func (r *Runner) nextWork() (work, bool) {
	if r.account.late() {
		return work{}, false
	}
	return r.queue.tryTake()
}

// appliedAndNext records an action, in one commit with the next machine's intent
// where that may be begun at once. It returns the attempt that this begins.
func (r *Runner) appliedAndNext(take context.Context, t try, action defender.MachineAction) (following *try, err error) {
	// A duplicate submission can be answered with the pending action of
	// somebody else; its comment tells.
	origin := journal.Ours
	if action.RequestorComment != "" && !isOurs(action, r.name) {
		origin = journal.Adopted
	}
	n, ok := r.next(take)
	if !ok {
		return nil, r.applied(t, action, r.c.Record.Accept(t.machineID, actionOf(action), origin))
	}
	failpoint.Hit(failpoint.NextDue)
	// If we crash before it is on disk, this machine is in doubt and the next one
	// planned; afterwards it is accepted and the next one in doubt.
	a, accepted, begun := r.c.Record.AcceptAndBegin(t.machineID, actionOf(action), origin, n.machineID, n.token.ID())
	failpoint.Hit(failpoint.NextBegun)
	next, failed := r.begun(n, a, begun)
	defer func() {
		if next != nil && following == nil { // an error, or a panic
			r.withdraw(*next)
		}
	}()
	if err := r.applied(t, action, accepted); err != nil {
		return nil, err
	}
	return next, failed
}

// withdraw takes an intent back of which nothing has left and nothing will. Where
// the journal cannot write that, the next run finds the machine in doubt.
func (r *Runner) withdraw(t try) {
	_ = r.c.Record.Release(t.machineID, failureOf(journal.ReasonNotSent, nil))
	t.token.Unused()
	t.pass.abandoned()
	r.queue.again(t.work)
}
