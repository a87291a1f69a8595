package limiter

import (
	"context"
	"errors"
)

// standAlone says whether the limiter goes on without its ledger's file, which
// it then lets go of.
func (l *Limiter) standAlone(cause error) bool {
	stopping := errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded)
	if l.alone == nil || stopping || !l.ledger.detach() {
		return false
	}
	l.alone(ledgerError("take", l.ledger.path, cause))
	return true
}

// detach leaves the file to the others and counts on in memory, with all that
// is known by now; false if there is no file to leave.
//
// What others have in flight is given up now, since nobody will tell us how it
// ends. They do the same with what we have in flight, since we let go of our
// session.
func (g *Ledger) detach() bool {
	g.entered <- struct{}{}
	defer func() { <-g.entered }()
	if g.closed || g.file == nil {
		return false
	}
	now := g.clock.now()
	for i, s := range g.slots {
		if s.kind == inFlight && s.session != g.book.session {
			s.kind, s.stamp = givenUp, now
			g.set(i, s)
		}
	}
	g.catchUp()
	// What the file system says of it changes nothing any more.
	_, _, _ = g.file.Close(), g.alive.Unlock(), g.lock.Close()
	g.file = nil
	return true
}
