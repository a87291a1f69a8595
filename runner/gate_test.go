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
		if _, err := g.unreachable(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var entered int
		var mu sync.Mutex
		var workers sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 8 {
			workers.Go(func() {
				if g.wait(ctx) != nil || !g.enter() {
					return
				}
				mu.Lock()
				entered++
				mu.Unlock()
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
		g.answered()
		workers.Wait()
		if entered < 1 || !g.enter() {
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
			if !g.enter() {
				t.Fatal("could not enter")
			}
			pause, err := g.unreachable()
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
			if !g.enter() {
				t.Fatal("shut too early")
			}
			if _, err := g.unknown(); err != nil {
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
		if err := g.wait(t.Context()); err != nil || !g.enter() {
			t.Errorf("nobody could probe after settling: %v", err)
		}
	})
}
