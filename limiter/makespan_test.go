package limiter

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lowerBound is the shortest time in which any client can have that many calls
// answered under the default quotas: whole hours and minutes have to pass
// between full windows, and the workers share the calls of the last one.
func lowerBound(calls, workers int, latency time.Duration) time.Duration {
	hours := (calls - 1) / 1500
	calls -= hours * 1500
	minutes := (calls - 1) / 100
	calls -= minutes * 100
	last := time.Duration(float64(calls) / float64(workers) * float64(latency))
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + last
}

// TestMakespan runs campaigns of the real size against the real limits, with a
// latency of 300 ms on average.
func TestMakespan(t *testing.T) {
	t.Parallel()
	const latency, workers = 300 * time.Millisecond, 8
	var table strings.Builder
	fmt.Fprintf(&table, "\n%6s %12s %12s %7s %8s\n", "calls", "lower bound", "makespan", "ratio", "refused")
	for _, c := range []struct {
		calls int
		ratio float64
	}{{500, 1.05}, {1500, 1.04}, {3000, 1.01}, {10000, 1.005}} {
		s := scenario{
			Quotas: DefaultQuotas(), Guard: time.Second, Late: time.Minute,
			Processes: 1, Workers: workers, Calls: c.calls, Latency: 2 * latency, Seed: 1,
		}
		var took time.Duration
		var arrivals []time.Duration
		synctest.Test(t, func(t *testing.T) {
			arrivals = s.run(t)
			took = arrivals[len(arrivals)-1] + s.Latency // the latest that its answer can have come
		})
		refused := 0
		for _, q := range s.Quotas {
			refused += slidingLog(arrivals, q)
		}
		bound := lowerBound(c.calls, workers, latency)
		ratio := took.Seconds() / bound.Seconds()
		fmt.Fprintf(&table, "%6d %11.1fs %11.1fs %7.4f %8d\n", c.calls, bound.Seconds(), took.Seconds(), ratio, refused)
		if ratio > c.ratio || len(arrivals) != c.calls {
			t.Errorf("%d calls: %d made in %s, %.4f times the lower bound", c.calls, len(arrivals), took, ratio)
		}
		for _, r := range refusals(arrivals, s.Quotas) {
			t.Error(r)
		}
	}
	t.Log(table.String())
}
