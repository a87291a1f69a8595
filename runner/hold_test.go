package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"offboard/runner"
)

// held is a run that goes on beside the test.
type held struct {
	*bench
	*runner.Runner
	ended chan error
}

// second is an accepted request that takes a second.
func second(int, string) reply { return reply{apply: true, takes: time.Second} }

// begin starts a run of so many machines.
func begin(ctx context.Context, t *testing.T, n int, budget runner.Budget, script func(int, string) reply) *held {
	t.Helper()
	h := &held{bench: setup(t, n), ended: make(chan error, 1)}
	h.service.script = script
	c := h.config
	c.Record, c.Calls, c.ListCalls, c.Budget = h.campaign, newLimiter(t), newLimiter(t), budget
	var err error
	if h.Runner, err = runner.New(c); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := h.Run(ctx)
		h.ended <- err
	}()
	return h
}

func (h *held) requests() int {
	h.service.mu.Lock()
	defer h.service.mu.Unlock()
	n := 0
	for _, r := range h.service.requests {
		n += r
	}
	return n
}

// TestHold: nothing is begun while a run is held, what was in flight is recorded,
// and all is sent once it is released. It is held while requests are in flight,
// and while everybody waits for the quota.
func TestHold(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Duration{"in flight": 1500 * time.Millisecond, "out of quota": 40 * time.Second, "before it begins": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := begin(t.Context(), t, 150, runner.Budget{}, second)
				defer h.close()
				if at > 0 {
					<-time.After(at)
				}
				h.Hold()
				h.Hold()
				synctest.Wait()
				before := h.requests()
				<-time.After(2 * time.Hour)
				if n := h.requests(); n != before || n == 150 {
					t.Errorf("%d requests when it was held, %d two hours later", before, n)
				}
				if n := h.Summary().Sent; n != int64(before) {
					t.Errorf("%d calls; want %d", n, before)
				}
				if k := h.kinds(); k[runner.EventOutcome] != before || k[runner.EventHeld] != 1 {
					t.Errorf("%v; want %d outcomes", k, before)
				}
				h.Release()
				h.Release()
				if err := <-h.ended; err != nil {
					t.Error(err)
				}
				h.want("accepted 150")
				h.effects(150)
				if k := h.kinds(); k[runner.EventReleased] != 1 {
					t.Errorf("%v", k)
				}
			})
		})
	}
}

// TestHeldRunEnds: neither a stop nor the end of its time is held.
func TestHeldRunEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		h := begin(ctx, t, 50, runner.Budget{}, second)
		defer h.close()
		h.Hold()
		time.AfterFunc(time.Minute, stop)
		if err := <-h.ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := begin(t.Context(), t, 50, runner.Budget{Until: began.Add(time.Hour)}, second)
		defer h.close()
		h.Hold()
		if err := <-h.ended; !errors.Is(err, runner.ErrBudget) || time.Since(began) > time.Hour+time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// TestDoubtsSettleWhileHeld: a look at a machine in doubt changes nothing, so it is
// made; the machine is not sent before the release.
func TestDoubtsSettleWhileHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := begin(t.Context(), t, 1, runner.Budget{}, func(nth int, _ string) reply {
			if nth == 1 {
				return reply{err: errLost, takes: time.Second}
			}
			return accepted()
		})
		defer h.close()
		<-time.After(time.Second)
		h.Hold()
		<-time.After(time.Hour)
		h.want("planned 1")
		h.Release()
		if err := <-h.ended; err != nil {
			t.Error(err)
		}
		h.want("accepted 1")
		h.effects(1)
	})
}
