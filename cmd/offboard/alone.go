package main

import (
	"context"
	"fmt"

	"offboard/limiter"
)

// Without the quota ledger a process does not see what the others send, so what
// keeps them all within the limit is that each has a part of it, and the parts
// add up to no more than the whole. Whoever gives a --share below 1 has said so.
// The default share is the whole quota: going on with that would be over the
// limit as soon as there is a second process, so such a run is refused, or
// stopped, and can be resumed. A part that is counted alone begins with what the
// run's own journal knows of the last hour; the list calls are in no journal, and
// begin at nothing.

// mayBeAlone says whether the run was given a part of the quota.
func (f *quotaFlags) mayBeAlone() bool { return f.share < 1 }

// beginAlone gives a limiter the recent calls instead of a ledger that cannot be
// opened, or refuses to.
func (s *session) beginAlone(c *limiter.Config, recent limiter.Recent, cause error) error {
	if !s.f.mayBeAlone() {
		return fmt.Errorf("the quota ledger is not to be had: %w", cause)
	}
	calls, err := recent(limiter.Mark{})
	if err != nil {
		return err
	}
	s.warnAlone(cause)
	c.Ledger = limiter.MemoryLedger(calls)
	return nil
}

// warnAlone says what follows from a ledger that is not to be had.
func (s *session) warnAlone(cause error) {
	s.app.log.Warn().AnErr("error", cause).Float64("share", s.f.share).
		Msg("the quota ledger is not to be had: this process counts alone and keeps to its share; the shares of all processes must add up to no more than 1")
}

// ledgerHint is what a person can do about an error of the limiter.
func ledgerHint(e *limiter.Error) string {
	if e.Path == "" || isAny(e, limiter.ErrClosed, context.Canceled, context.DeadlineExceeded) {
		return e.Hint
	}
	const alone = "give --share below 1, this process's part of the quota, to go on without the ledger; the parts of all processes must add up to no more than 1"
	if e.Hint == "" {
		return alone
	}
	return e.Hint + "; or " + alone
}
