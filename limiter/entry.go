package limiter

import (
	"context"
	"errors"
	"time"
)

const (
	firstRetry     = 200 * time.Microsecond // to lock the ledger; it is held for some 10 µs
	longestRetry   = 20 * time.Millisecond
	recordPatience = time.Second // of those who may not block for long
	openPatience   = 10 * time.Second
	tryPatience    = 10 * time.Millisecond
	takePatience   = time.Minute // of those who may wait: whoever has the lock by then hangs
)

// enter waits until this goroutine alone of all processes has the ledger, and
// brings it up to date. The wait ends with the context.
func (g *Ledger) enter(ctx context.Context) error {
	for retry := firstRetry; ; retry = min(2*retry, longestRetry) {
		select {
		case g.entered <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		ok, err := g.lockAndRefresh()
		if ok {
			return nil
		}
		// Never wait inside: whoever holds the ledger's lock may be stopped, and the
		// goroutines behind us must still be able to leave.
		<-g.entered
		if err != nil {
			return err
		}
		if err := pauseFor(ctx, retry); err != nil {
			return err
		}
	}
}

// enterWithin is enter that fails with ErrBusy when the others do not let it in
// for so long.
func (g *Ledger) enterWithin(ctx context.Context, patience time.Duration) error {
	select {
	case g.entered <- struct{}{}:
		// Nearly always the lock is free, and no timer is needed.
		ok, err := g.lockAndRefresh()
		if ok {
			return nil
		}
		<-g.entered
		if err != nil {
			return err
		}
	default:
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := g.enter(limited)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return ErrBusy
	}
	return err
}

// lockAndRefresh takes the lock between processes, if there is one and it is
// free, and reads what the others have written.
func (g *Ledger) lockAndRefresh() (bool, error) {
	if g.closed {
		return false, ErrClosed
	}
	if g.file == nil {
		g.prune()
		return true, nil
	}
	ok, err := g.lock.TryLock()
	if !ok || err != nil {
		return false, err
	}
	if err := g.refresh(); err != nil {
		return false, errors.Join(err, g.lock.Unlock())
	}
	return true, nil
}

// leave lets the next one in.
func (g *Ledger) leave() error {
	var err error
	if g.file != nil {
		err = g.lock.Unlock()
	}
	<-g.entered
	return err
}

// commit writes what was changed and leaves.
func (g *Ledger) commit() error {
	return errors.Join(g.flush(), g.leave())
}

// record carries out an operation that has to be recorded whatever happens. If
// the ledger cannot be entered the operation is put off until the next one who
// can; until then the file says less favourable things of us than we know. An
// operation that could not be written is written with the next one.
func (g *Ledger) record(operation func(now int64)) {
	err := g.enterWithin(context.Background(), recordPatience)
	if err == nil {
		operation(g.clock.last) // as of the entry
		_ = g.commit()
		return
	}
	g.entered <- struct{}{}
	defer func() { <-g.entered }()
	now := g.clock.now()
	g.deferred = append(g.deferred, func() { operation(now) })
}

// pauseFor waits, at most until the context ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look shows the account as it is, with the others' latest news if they can be
// had within a moment.
func (g *Ledger) look(see func(now int64)) {
	if err := g.enterWithin(context.Background(), recordPatience); err == nil {
		see(g.clock.now())
		_ = g.leave()
		return
	}
	g.entered <- struct{}{}
	see(g.clock.now())
	<-g.entered
}

// assign gives the ledger to a limiter, once.
func (g *Ledger) assign(longest, late time.Duration) error {
	g.entered <- struct{}{}
	defer func() { <-g.entered }()
	switch {
	case g.closed:
		return ErrClosed
	case g.owned:
		return ErrInUse
	}
	g.owned = true
	g.configure(longest, late)
	return nil
}
