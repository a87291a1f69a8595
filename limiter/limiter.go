package limiter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Limiter hands out a token for every call that may be made now. Make one with
// [New] for each API that has a budget of its own, and [Limiter.Close] it.
//
// Most callers need only [Limiter.Take]. Take the token before the call's own
// timeout begins, since waiting for it may take an hour. All methods may be
// used concurrently.
type Limiter struct {
	meters   []*meter
	ledger   *Ledger
	alone    func(error)         // nil: never without the ledger's file
	turn     *semaphore.Weighted // first come, first served
	stirred  chan struct{}       // wakes the one whose turn it is
	closed   chan struct{}
	closeAll sync.Once

	// quotaFull is set while the one whose turn it is waits for room.
	quotaFull atomic.Bool

	// What follows is used only inside the ledger.
	starved   bool // the one whose turn it is waits for a call in flight
	throttled int
}

// New makes a limiter and takes the ledger over: it is closed with the limiter.
// Errors are of type *[Error] and wrap [ErrConfig], [ErrInUse] or [ErrClosed];
// after one the ledger is still the caller's.
func New(c Config) (*Limiter, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	g := c.Ledger
	if g == nil {
		g = MemoryLedger(nil)
	}
	if err := g.assign(c.longest(), c.LateArrival); err != nil {
		return nil, &Error{Op: "configure", Path: g.path, Err: err}
	}
	l := &Limiter{
		ledger:  g,
		alone:   c.Alone,
		turn:    semaphore.NewWeighted(1),
		stirred: make(chan struct{}, 1),
		closed:  make(chan struct{}),
	}
	for _, q := range c.Quotas {
		l.meters = append(l.meters, newMeter(q, c.Guard, c.Pace))
	}
	return l, nil
}

// Take waits until one more call is within all quotas and returns a token for
// it. Those who wait are served in the order in which they came. Every token
// must be reported on; one that is forgotten counts until the limiter is closed.
//
// The wait ends with the context; the error then wraps [context.Canceled] or
// [context.DeadlineExceeded], and no token is lost. A deadline that cannot be
// met is waited for nevertheless. Other errors wrap [ErrClosed], [ErrReadOnly],
// [ErrBusy] when another process keeps the ledger locked for a minute, or say that
// the call could not be written down; then it must not be made.
func (l *Limiter) Take(ctx context.Context) (*Token, error) {
	t, err := l.takeInTurn(ctx)
	if err != nil {
		return nil, ledgerError("take", l.ledger.path, err)
	}
	return t, nil
}

func (l *Limiter) takeInTurn(ctx context.Context) (*Token, error) {
	if l.ledger.readOnly {
		return nil, ErrReadOnly
	}
	if err := l.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer l.turn.Release(1)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t, d, err := l.try(ctx)
		if t != nil || err != nil {
			return t, err
		}
		l.quotaFull.Store(true)
		err = l.wait(ctx, d)
		l.quotaFull.Store(false)
		if err != nil {
			return nil, err
		}
	}
}

// TryTake is [Limiter.Take] that waits for no quota. It returns nil when no token is
// to be had within a moment, others wait for one, or something is wrong, which Take
// then says.
func (l *Limiter) TryTake() *Token {
	if l.ledger.readOnly || l.quotaFull.Load() {
		return nil
	}
	moment, cancel := context.WithTimeout(context.Background(), tryPatience)
	defer cancel()
	if l.turn.Acquire(moment, 1) != nil {
		return nil
	}
	defer l.turn.Release(1)
	// An error with a token is that of letting the lock go, which the next one meets.
	t, _, _ := l.tryOnce(moment, tryPatience)
	return t
}

// try takes a token if there is one now, else it says what to wait for.
func (l *Limiter) try(ctx context.Context) (*Token, delay, error) {
	t, d, err := l.tryOnce(ctx, takePatience)
	switch {
	case t != nil:
		// The call is written down. If the lock could not be let go of, the next one
		// who wants it finds out.
		return t, d, nil
	case err != nil && l.standAlone(err):
		return l.tryOnce(ctx, takePatience)
	}
	return nil, d, err
}

func (l *Limiter) tryOnce(ctx context.Context, patience time.Duration) (*Token, delay, error) {
	g := l.ledger
	if err := g.enterWithin(ctx, patience); err != nil {
		return nil, delay{}, err
	}
	now := g.clock.last // as of the entry
	d := l.delay(now)
	if d.waits() && g.reapDue() {
		g.reap()
		d = l.delay(now)
	}
	l.starved = d.starved
	if d.waits() {
		return nil, d, g.commit()
	}
	t, err := l.grant(now)
	return t, delay{}, errors.Join(err, g.leave())
}

// grant writes down a call in flight before its token is handed out.
func (l *Limiter) grant(now int64) (*Token, error) {
	g := l.ledger
	id := g.spend(now)
	if err := g.flush(); err != nil {
		g.settle(id, free, now)
		return nil, err
	}
	for _, m := range l.meters {
		m.spend()
	}
	return &Token{id: id, limiter: l}, nil
}

// delay is what the next call has to wait for: some time, or, if starved, a
// call in flight whose end nobody knows.
type delay struct {
	time    time.Duration
	starved bool
	poll    time.Duration // 0 unless other processes, which cannot wake us, have calls in flight
}

func (d delay) waits() bool { return d.starved || d.time > 0 }

func (l *Limiter) delay(now int64) delay {
	g := l.ledger
	d := delay{time: time.Duration(g.until(mark{kind: paused}) - now)}
	if g.book.foreign > 0 {
		d.poll = g.pollInterval()
	}
	for _, m := range l.meters {
		opens, known := g.book.opens(now, m.window, m.N)
		if !known {
			d.starved = true
			continue
		}
		m.steer(g.until(m.mark()) > now)
		d.time = max(d.time, time.Duration(opens-now), m.wait())
	}
	return d
}

// wait waits for what try said, or for news that change it.
func (l *Limiter) wait(ctx context.Context, d delay) error {
	var expired <-chan time.Time
	if d.starved {
		// Until someone in this process stirs us; from the others we hear nothing.
		d.time = d.poll
	}
	if d.time > 0 {
		timer := time.NewTimer(d.time)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-expired:
	case <-l.stirred:
	case <-l.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// stir wakes the one whose turn it is, to look again.
func (l *Limiter) stir() {
	select {
	case l.stirred <- struct{}{}:
	default:
	}
}

// Close gives up all tokens that were not reported on, ends all waits with
// [ErrClosed] and closes the ledger. A second Close does nothing.
func (l *Limiter) Close() error {
	var err error
	l.closeAll.Do(func() {
		close(l.closed)
		err = l.ledger.Close()
	})
	return err
}
