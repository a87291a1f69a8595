package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"offboard/internal/failpoint"
	"offboard/limiter"
)

// ErrUnreachable is returned by [Runner.Run] when the service could not be
// reached, or answered nothing that could be understood, for
// [Config.RetryFor]. The campaign can be resumed.
var ErrUnreachable = errors.New("the service could not be reached")

const (
	firstPause   = time.Second
	longestPause = time.Minute
	// tolerated is how many unknown outcomes in a row are put down to chance.
	tolerated = 5
)

// gate holds all workers back together while the service is unreachable or its
// answers leave nothing but doubts, and then lets one of them probe.
type gate struct {
	retryFor time.Duration
	// doubts counts the machines being settled; while there are any, nobody
	// probes after unknown outcomes.
	doubts func() int
	held   *hold // by a person

	mu       sync.Mutex
	changed  chan struct{} // closed at every change
	shut     bool
	probe    *pass // whoever probes, nil if nobody does
	settling bool  // shut by unknown outcomes: wait for the doubts as well
	unknowns int   // in a row
	pause    time.Duration
	closed   time.Time     // when the pause began
	until    time.Time     // when it ends
	settled  time.Time     // when the last doubt was settled, zero if not yet
	down     time.Duration // pauses that ended in vain since the last answer
}

// pass is the right to make one call. Whoever has it owes one call of one of
// its methods.
type pass struct{ gate *gate }

func newGate(retryFor time.Duration, doubts func() int) *gate {
	return &gate{retryFor: retryFor, doubts: doubts, held: &hold{}, changed: make(chan struct{})}
}

// wait returns when the gate is open or somebody may probe.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		free, changed, pause := g.passable(), g.changed, time.Until(g.until)
		g.mu.Unlock()
		if free {
			return ctx.Err()
		}
		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-timer:
		}
	}
}

// await waits for the gate and then for a token. The gate may have been shut, or
// the run held, during the second wait, so both are asked again before anything
// is begun.
func (g *gate) await(take context.Context, calls Limiter) (*limiter.Token, *pass, error) {
	for {
		if err := g.held.wait(take); err != nil {
			return nil, nil, err
		}
		if err := g.wait(take); err != nil {
			return nil, nil, err
		}
		token, err := calls.Take(take)
		if err != nil {
			return nil, nil, err
		}
		failpoint.Hit(failpoint.TokenTaken)
		pass := g.enter()
		if pass != nil && !g.held.on() {
			return token, pass, nil
		}
		if pass != nil {
			pass.abandoned()
		}
		token.Unused()
	}
}

// tryAwait is await that does not wait: the token is nil when the gate is shut, the
// run held, or no token to be had.
func (g *gate) tryAwait(calls Limiter) (*limiter.Token, *pass) {
	if g.held.on() || !g.open() {
		return nil, nil
	}
	token := calls.TryTake()
	if token == nil {
		return nil, nil
	}
	failpoint.Hit(failpoint.TokenTaken)
	if pass := g.enter(); pass != nil {
		if !g.held.on() {
			return token, pass
		}
		pass.abandoned()
	}
	token.Unused()
	return nil, nil
}

func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut
}

// enter gives out a pass, or nil when the gate has been shut meanwhile.
func (g *gate) enter() *pass {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.passable() {
		return nil
	}
	p := &pass{g}
	if g.shut {
		g.probe = p
	}
	return p
}

func (g *gate) passable() bool {
	if !g.shut {
		return true
	}
	if g.probe != nil || time.Now().Before(g.until) {
		return false
	}
	return !g.settling || g.doubts() == 0
}

// woken has the waiting workers look again, since a doubt was settled.
func (g *gate) woken() {
	g.update(func() {
		if g.settled.IsZero() && g.doubts() == 0 {
			g.settled = time.Now()
		}
	})
}

// answered opens the gate: the service is there and makes sense.
func (p *pass) answered() {
	g := p.gate
	g.update(func() {
		g.shut, g.settling, g.probe = false, false, nil
		g.unknowns, g.pause, g.down = 0, 0, 0
	})
}

// abandoned says that nothing was sent after all.
func (p *pass) abandoned() {
	p.gate.update(func() {
		if p.gate.probe == p {
			p.gate.probe = nil
		}
	})
}

// unreachable shuts the gate for a pause that grows. It returns
// [ErrUnreachable] once that has gone on for too long, and otherwise the pause.
func (p *pass) unreachable() (pause time.Duration, err error) {
	p.gate.update(func() { pause, err = p.close() })
	return pause, err
}

// unknown counts an unknown outcome; after too many in a row it shuts the gate
// until the doubts are settled. The pause is 0 while the gate stays open.
func (p *pass) unknown() (pause time.Duration, err error) {
	g := p.gate
	g.update(func() {
		g.unknowns++
		if g.unknowns >= tolerated {
			g.settling = true
		}
		if g.settling || g.shut {
			pause, err = p.close()
		}
	})
	return pause, err
}

// close shuts the gate, or keeps it shut after a probe. Calls that were on their
// way when it was shut find the same fault; they do not make the pause longer.
func (p *pass) close() (time.Duration, error) {
	g := p.gate
	if !g.shut || g.probe == p {
		now := time.Now()
		if g.shut {
			// Waiting for the quota is no sign of trouble; only the
			// pauses count.
			g.down += latest(g.until, g.settled).Sub(g.closed)
		}
		g.pause = min(max(2*g.pause, firstPause), longestPause)
		g.closed, g.until, g.settled = now, now.Add(g.pause), time.Time{}
		g.shut, g.probe = true, nil
	}
	if g.down >= g.retryFor {
		return 0, fmt.Errorf("%w for %s", ErrUnreachable, g.down.Round(time.Second))
	}
	return time.Until(g.until), nil
}

// pauseAll shuts the gate and says so. Its error ends the run: it has been shut
// for too long.
func pauseAll(cause error, shut func() (time.Duration, error), emit func(Event)) error {
	pause, err := shut()
	if err != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	if pause > 0 {
		emit(Event{Kind: EventPaused, Wait: pause, Err: cause})
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (g *gate) update(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}
