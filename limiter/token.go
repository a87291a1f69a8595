package limiter

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// Token is the right to make one call now. Exactly one of [Token.Answered],
// [Token.GivenUp], [Token.Unused] and [Token.Refused] must follow, as soon as
// it is known how the call ended. Only the first report counts, later ones do
// nothing; so "defer t.GivenUp()" right after [Limiter.Take] covers every way
// out of a function that reports better things where it knows them.
//
// The reports block for no more than a moment: if the ledger's file is not to
// be had within a second or cannot be written, they are written later, and
// until then the file says that the call is in flight.
type Token struct {
	id       uint64
	limiter  *Limiter
	reported atomic.Bool
}

// ID returns a random number, never 0, that names the call in the ledger.
// Journal it with the intent to call, for the recent calls of [OpenLedger].
func (t *Token) ID() uint64 { return t.id }

// Answered reports that the answer is complete, whatever it says except 429.
// The token comes back one window and the guard from now.
func (t *Token) Answered() { t.over(answered) }

// GivenUp reports that nobody waits for an answer any more. The call may still
// reach the server: the token comes back one window, the guard and the late
// arrival from now.
func (t *Token) GivenUp() { t.over(givenUp) }

// Unused reports that certainly nothing was sent. The token comes back at once.
func (t *Token) Unused() {
	t.report(func(now int64) { t.undo(now) })
}

// Refused reports an answer 429: the service has not counted the call. The
// token comes back at once, but nobody, in any process, gets one before the
// throttle's wait has passed (else its period, else a minute; one hour at most)
// and a second. From then on the quota whose window the throttle names, or the
// shortest, is paced evenly until one whole window has passed without another
// refusal.
func (t *Token) Refused(r Throttle) {
	t.report(func(now int64) {
		t.undo(now)
		l := t.limiter
		l.throttled++
		resumes := now + int64(r.pause())
		m := l.named(r.Period)
		l.ledger.raise(mark{kind: paused}, resumes)
		l.ledger.raise(m.mark(), resumes+int64(m.Per))
	})
}

// over records an end that counts. It cannot bring another's token forward, so
// only those are woken who wait for a call in flight.
func (t *Token) over(k kind) {
	t.report(func(now int64) {
		t.limiter.ledger.settle(t.id, k, now)
		if t.limiter.starved {
			t.limiter.stir()
		}
	})
}

// undo takes the call out of all accounts.
func (t *Token) undo(now int64) {
	t.limiter.ledger.settle(t.id, free, now)
	for _, m := range t.limiter.meters {
		m.refund()
	}
	t.limiter.stir()
}

func (t *Token) report(operation func(now int64)) {
	if !t.reported.Swap(true) {
		t.limiter.ledger.record(operation)
	}
}

// named returns the quota that a 429 means.
func (l *Limiter) named(period time.Duration) *meter {
	for _, m := range l.meters {
		if m.Per == period {
			return m
		}
	}
	return slices.MinFunc(l.meters, func(x, y *meter) int { return cmp.Compare(x.Per, y.Per) })
}
