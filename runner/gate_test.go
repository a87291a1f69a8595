package runner

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestGateLetsOneProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Hour, func() int { return 0 })
		if _, err := g.enter().unreachable(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var probe *pass
		var entered int
		var mu sync.Mutex
		var workers sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 8 {
			workers.Go(func() {
				if g.wait(ctx) != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if p := g.enter(); p != nil {
					probe = p
					entered++
				}
			})
		}
		synctest.Wait()
		<-time.After(firstPause)
		synctest.Wait()
		mu.Lock()
		if entered != 1 || time.Since(began) != firstPause {
			t.Errorf("%d entered after %s; want one after %s", entered, time.Since(began), firstPause)
		}
		mu.Unlock()
		probe.answered()
		workers.Wait()
		if g.enter() == nil {
			t.Error("an answer did not open the gate")
		}
	})
}

func TestGatePausesGrowAndEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(10*time.Minute, func() int { return 0 })
		began, last := time.Now(), time.Duration(0)
		for {
			if err := g.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			pause, err := g.enter().unreachable()
			if errors.Is(err, ErrUnreachable) {
				break
			}
			if err != nil || pause < last || pause > longestPause {
				t.Fatalf("pause %s after %s, %v", pause, last, err)
			}
			last = pause
		}
		if took := time.Since(began); took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("gave up after %s", took)
		}
	})
}

// TestGateWaitsForDoubts: after too many unknown outcomes nobody probes before
// the doubts are settled.
func TestGateWaitsForDoubts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		doubts := tolerated
		g := newGate(time.Hour, func() int { return doubts })
		for range tolerated {
			if _, err := g.enter().unknown(); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := g.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait with doubts: %v", err)
		}
		doubts = 0
		g.woken()
		if err := g.wait(t.Context()); err != nil || g.enter() == nil {
			t.Errorf("nobody could probe after settling: %v", err)
		}
	})
}

// TestGateAfterBothFaults: the probe after an outage ends with an unknown
// outcome; somebody has to probe again.
func TestGateAfterBothFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Hour, func() int { return 0 })
		if _, err := g.enter().unreachable(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := g.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := g.enter().unknown(); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.wait(t.Context()); err != nil || g.enter() == nil {
			t.Errorf("nobody can probe any more: %v", err)
		}
	})
}

// TestGateKeepsOneProbe: a call from before the gate was shut does not end
// somebody else's probe.
func TestGateKeepsOneProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Hour, func() int { return 0 })
		early, other := g.enter(), g.enter()
		if _, err := other.unreachable(); err != nil {
			t.Fatal(err)
		}
		<-time.After(firstPause)
		if g.enter() == nil {
			t.Fatal("nobody could probe")
		}
		early.abandoned()
		if g.enter() != nil {
			t.Error("two probe at once")
		}
	})
}

// TestGateCountsPausesOnly: waiting for the quota between two failures is no
// sign of trouble.
func TestGateCountsPausesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(30*time.Minute, func() int { return 0 })
		for range 2 {
			if _, err := g.enter().unreachable(); err != nil {
				t.Fatal(err)
			}
			<-time.After(50 * time.Minute)
		}
	})
}

// TestTimeOfABudgetIsTheWallClocks, which goes on while the machine sleeps.
func TestTimeOfABudgetIsTheWallClocks(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if a := newAccount(Budget{Until: now.Add(time.Hour)}); a.Until.String() != now.Round(0).Add(time.Hour).String() {
		t.Errorf("%s", a.Until)
	}
	if a := newAccount(Budget{}); !a.Until.IsZero() {
		t.Errorf("%s", a.Until)
	}
}
