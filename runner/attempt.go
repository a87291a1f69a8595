package runner

import (
	"context"
	"errors"
	"strings"
	"time"

	"offboard/defender"
	"offboard/internal/failpoint"
	"offboard/journal"
	"offboard/limiter"
)

// admission is the right to begin a machine: nothing of it is on disk yet.
type admission struct {
	work
	token *limiter.Token
	pass  *pass
}

// try is one attempt on one machine whose intent is on disk.
type try struct {
	admission
	journal.Attempt
	began time.Time // when its request did
}

// attempt is one machine's way: token, intent, one request, its meaning, the
// outcome on disk; and that of those that follow it without waiting. It returns an
// error only for what stops the run.
func (r *Runner) attempt(take, flight context.Context, w work) error {
	token, pass, err := r.admit(take)
	if err != nil {
		r.queue.again(w) // not begun, and planned as before
		if take.Err() == nil {
			return err
		}
		return nil
	}
	failpoint.Hit(failpoint.IntentDue)
	a, err := r.begin(w, token)
	t, err := r.begun(admission{w, token, pass}, a, err)
	for t != nil && err == nil {
		t, err = r.carry(take, flight, *t)
	}
	return err
}

// begun takes note of what came of writing an intent; the try is nil when there
// is nothing to send.
func (r *Runner) begun(n admission, a journal.Attempt, err error) (*try, error) {
	if err != nil {
		n.token.Unused()
		n.pass.abandoned()
		r.account.refund()
		return nil, r.skip(n.work, err)
	}
	// If we crash from here on, the journal says "sending" and the next run
	// treats the machine as in doubt.
	failpoint.Hit(failpoint.IntentOnDisk)
	return &try{admission: n, Attempt: a}, nil
}

// carry sends a request and records what came of it. It returns the attempt that
// was begun with the outcome, if one was.
func (r *Runner) carry(take, flight context.Context, t try) (*try, error) {
	t.began = time.Now()
	comment := strings.TrimSpace(Mark(r.name, t.Number) + " " + t.Comment)
	action, err := r.c.Service.Offboard(flight, t.machineID, comment)
	failpoint.Hit(failpoint.AnswerReceived)
	r.answer(t.token, err)
	failpoint.Hit(failpoint.TokenTold)
	if err != nil {
		return nil, r.outcome(t, err)
	}
	return r.appliedAndNext(take, t, action)
}

// begin puts the intent on disk, and before it that its wave has not ended.
func (r *Runner) begin(w work, token *limiter.Token) (journal.Attempt, error) {
	if err := r.reopen(); err != nil {
		return journal.Attempt{}, err
	}
	return r.c.Record.Begin(w.machineID, token.ID())
}

// admit waits for the right to make a call that the budget has room for.
func (r *Runner) admit(take context.Context) (*limiter.Token, *pass, error) {
	token, pass, err := r.gate.await(take, r.c.Calls)
	if err != nil {
		r.account.refund()
		return nil, nil, err
	}
	if r.account.late() {
		r.account.refund()
		token.Unused()
		pass.abandoned()
		return nil, nil, r.account.usedUp()
	}
	return token, pass, nil
}

func (r *Runner) skip(w work, err error) error {
	if errors.Is(err, journal.ErrSettled) || errors.Is(err, journal.ErrInDoubt) {
		r.emit(Event{Kind: EventSkipped, MachineID: w.machineID, Err: err})
		r.queue.done()
		return nil
	}
	return err
}

// notAppliedReason is why a request certainly had no effect.
func notAppliedReason(cause error) journal.Reason {
	switch {
	case errors.Is(cause, defender.ErrThrottled):
		return journal.ReasonThrottled
	case errors.Is(cause, defender.ErrTokenRefused):
		return journal.ReasonTokenRefused
	default:
		return journal.ReasonNotSent
	}
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
	case e.Meaning == defender.Unknown:
		// Whatever a gateway answered, the request may be on its way still.
		t.GivenUp()
	case e.Status != 0:
		t.Answered()
	default:
		t.Unused()
		return false
	}
	return true
}

// outcome decides by the answer's meaning what is recorded and what happens to
// the machine next. First the journal, then the queue: what the queue knows a
// crash forgets.
func (r *Runner) outcome(t try, err error) error {
	e, ok := asDefender(err)
	if !ok {
		return r.unknown(t, err)
	}
	switch e.Meaning {
	case defender.NotApplied:
		return r.notApplied(t, err)
	case defender.Refused:
		return r.refused(t, err)
	case defender.AlreadyActive:
		return r.alreadyActive(t, err)
	case defender.Stop:
		return r.stopped(t, err)
	default:
		return r.unknown(t, err)
	}
}

// applied goes on from what came of recording an action.
func (r *Runner) applied(t try, action defender.MachineAction, err error) error {
	if errors.Is(err, journal.ErrOtherAction) {
		// The answer names what was over before a person had the machine sent
		// again, and says nothing of this attempt.
		return r.unknown(t, err)
	}
	if err != nil {
		return err
	}
	if strings.HasPrefix(action.RequestorComment, Mark(r.name, t.Number)) {
		r.settler.accepted(witness{t.machineID, action.ID, t.began})
	}
	t.pass.answered()
	r.account.passed(t.machineID)
	r.finish(t, Event{State: stateOf(action), ActionID: action.ID})
	return nil
}

func (r *Runner) notApplied(t try, cause error) error {
	reason := notAppliedReason(cause)
	if err := r.c.Record.Release(t.machineID, failureOf(reason, cause)); err != nil {
		return err
	}
	r.queue.again(t.work)
	if reason == journal.ReasonNotSent {
		return r.pause(cause, t.pass.unreachable)
	}
	t.pass.answered()
	if reason == journal.ReasonThrottled {
		e, _ := asDefender(cause)
		r.emit(Event{Kind: EventThrottled, MachineID: t.machineID, Attempt: t.Number, Wait: e.RetryAfter, Err: cause})
	}
	return nil
}

func (r *Runner) pause(cause error, shut func() (time.Duration, error)) error {
	return pauseAll(cause, shut, r.emit)
}

func (r *Runner) refused(t try, cause error) error {
	t.pass.answered()
	if errors.Is(cause, defender.ErrNotFound) && !t.lookAgain {
		// The service is known to deny machines that it has while under
		// load, so the last word on them waits for the end.
		if err := r.c.Record.Release(t.machineID, failureOf(journal.ReasonNotFound, cause)); err != nil {
			return err
		}
		r.queue.later(t.work)
		return r.account.refused(t.machineID)
	}
	if err := r.c.Record.Reject(t.machineID, failureOf(journal.ReasonRefused, cause)); err != nil {
		return err
	}
	r.finish(t, Event{State: journal.Rejected, Err: cause})
	return r.account.refused(t.machineID)
}

// alreadyActive leaves it to the settler to find and adopt the Offboard action
// that the service says is under way. Until it has been seen we do not know
// whose it is.
func (r *Runner) alreadyActive(t try, cause error) error {
	t.pass.answered()
	return r.doubted(t, cause, true)
}

func (r *Runner) stopped(t try, cause error) error {
	if err := r.c.Record.Release(t.machineID, failureOf(journal.ReasonStopped, cause)); err != nil {
		return err
	}
	r.queue.again(t.work)
	t.pass.abandoned()
	return cause
}

func (r *Runner) unknown(t try, cause error) error {
	if err := r.doubted(t, cause, false); err != nil {
		return err
	}
	return r.pause(cause, t.pass.unknown)
}

// doubted records a machine as in doubt and hands it to the settler.
func (r *Runner) doubted(t try, cause error, active bool) error {
	if err := r.c.Record.Doubt(t.machineID, failureOf(journal.ReasonUnknown, cause)); err != nil {
		return err
	}
	failpoint.Hit(failpoint.DoubtOnDisk)
	r.settler.add(&doubt{
		owner: r.c.Record, campaign: r.name, machineID: t.machineID,
		attempt: t.Number, prior: t.Prior, active: active, sent: t.began,
	})
	r.account.passed(t.machineID)
	r.finish(t, Event{State: journal.InDoubt, Err: cause})
	return nil
}

func (r *Runner) finish(t try, e Event) {
	failpoint.Hit(failpoint.OutcomeOnDisk)
	e.Kind, e.MachineID, e.Attempt = EventOutcome, t.machineID, t.Number
	r.emit(e)
	r.queue.done()
}

func asDefender(err error) (*defender.Error, bool) {
	var e *defender.Error
	ok := errors.As(err, &e)
	return e, ok
}
