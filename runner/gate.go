package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
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

	mu       sync.Mutex
	changed  chan struct{} // closed at every change
	shut     bool
	probing  bool
	settling bool // shut by unknown outcomes: wait for the doubts as well
	until    time.Time
	pause    time.Duration
	unknowns int
	since    time.Time // of the first failure after the last answer
}

func newGate(retryFor time.Duration, doubts func() int) *gate {
	return &gate{retryFor: retryFor, doubts: doubts, changed: make(chan struct{})}
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

// enter claims the right to send. Whoever enters owes one call of answered,
// unreachable, unknown or abandoned.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.passable() {
		return false
	}
	g.probing = g.shut
	return true
}

func (g *gate) passable() bool {
	if !g.shut {
		return true
	}
	if g.probing || time.Now().Before(g.until) {
		return false
	}
	return !g.settling || g.doubts() == 0
}

// answered opens the gate: the service is there and makes sense.
func (g *gate) answered() {
	g.update(func() {
		g.shut, g.probing, g.settling = false, false, false
		g.unknowns, g.pause, g.since = 0, 0, time.Time{}
	})
}

// abandoned says that nothing was sent after all.
func (g *gate) abandoned() { g.update(func() { g.probing = false }) }

// woken has the waiting workers look again, since a doubt was settled.
func (g *gate) woken() { g.update(func() {}) }

// unreachable shuts the gate for a pause that grows. It returns
// [ErrUnreachable] once that has gone on for too long, and otherwise the pause.
func (g *gate) unreachable() (pause time.Duration, err error) {
	g.update(func() { pause, err = g.close() })
	return pause, err
}

// unknown counts an unknown outcome; after too many in a row it shuts the gate
// until the doubts are settled.
func (g *gate) unknown() (pause time.Duration, err error) {
	g.update(func() {
		g.unknowns++
		if g.since.IsZero() {
			g.since = time.Now()
		}
		if g.unknowns >= tolerated {
			g.settling = true
			pause, err = g.close()
		}
	})
	return pause, err
}

func (g *gate) close() (time.Duration, error) {
	now := time.Now()
	if g.since.IsZero() {
		g.since = now
	}
	// Calls that were already on their way when the gate was shut find the
	// same fault; they do not make the pause longer.
	if !g.shut || g.probing {
		g.pause = min(max(2*g.pause, firstPause), longestPause)
		g.until = now.Add(g.pause)
	}
	g.shut, g.probing = true, false
	if trouble := now.Sub(g.since); trouble >= g.retryFor {
		return 0, fmt.Errorf("%w for %s", ErrUnreachable, trouble.Round(time.Second))
	}
	return time.Until(g.until), nil
}

func (g *gate) update(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}
