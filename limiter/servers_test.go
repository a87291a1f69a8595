package limiter

import (
	"fmt"
	"testing"
	"time"
)

// server is one way in which the real service may count. It returns how many
// calls it had to refuse of those that arrived, in order, under one quota.
type server struct {
	name   string
	refuse func(arrivals []time.Duration, q Quota) int
}

// servers are all the ways that limits of this kind are usually kept. Nobody
// knows which of them the service uses.
func servers() []server {
	return []server{
		{"sliding log", slidingLog},
		{"whole-second windows", wholeSeconds},
		{"fixed windows", fixedWindows},
		{"clock 200 ppm fast", drifting(1 + 200e-6)},
		{"clock 200 ppm slow", drifting(1 - 200e-6)},
		{"token bucket", tokenBucket},
	}
}

// slidingLog counts the calls of the last Per, the edge included.
func slidingLog(arrivals []time.Duration, q Quota) (refused int) {
	var log []time.Duration
	for _, at := range arrivals {
		for len(log) > 0 && log[0] < at-q.Per {
			log = log[1:]
		}
		if len(log) >= q.N {
			refused++
			continue
		}
		log = append(log, at)
	}
	return refused
}

// wholeSeconds is a sliding log that sees only whole seconds.
func wholeSeconds(arrivals []time.Duration, q Quota) int {
	rounded := make([]time.Duration, len(arrivals))
	for i, at := range arrivals {
		rounded[i] = at.Truncate(time.Second)
	}
	return slidingLog(rounded, q)
}

// drifting is a sliding log by a clock that runs at another speed.
func drifting(speed float64) func([]time.Duration, Quota) int {
	return func(arrivals []time.Duration, q Quota) int {
		scaled := make([]time.Duration, len(arrivals))
		for i, at := range arrivals {
			scaled[i] = time.Duration(float64(at) * speed)
		}
		return slidingLog(scaled, q)
	}
}

// fixedWindows counts from one multiple of Per to the next. Where they begin is
// not known, so the worst of several beginnings is taken.
func fixedWindows(arrivals []time.Duration, q Quota) (worst int) {
	const beginnings = 16
	for i := range beginnings {
		phase := q.Per * time.Duration(i) / beginnings
		counts := map[time.Duration]int{}
		refused := 0
		for _, at := range arrivals {
			window := (at + phase) / q.Per
			if counts[window]++; counts[window] > q.N {
				refused++
			}
		}
		worst = max(worst, refused)
	}
	return worst
}

// tokenBucket refills steadily, N in Per.
func tokenBucket(arrivals []time.Duration, q Quota) (refused int) {
	level, last := float64(q.N), time.Duration(0)
	for _, at := range arrivals {
		level = min(float64(q.N), level+float64(at-last)*float64(q.N)/float64(q.Per))
		last = at
		if level < 1-1e-6 {
			refused++
			continue
		}
		level--
	}
	return refused
}

// refusals says for every server and quota how many of the calls were too many;
// nothing if none were.
func refusals(arrivals []time.Duration, quotas []Quota) (all []string) {
	for _, s := range servers() {
		for _, q := range quotas {
			if n := s.refuse(arrivals, q); n > 0 {
				all = append(all, fmt.Sprintf("%s, %s: %d of %d calls too many", s.name, q, n, len(arrivals)))
			}
		}
	}
	return all
}

func TestServersRefuse(t *testing.T) {
	t.Parallel()
	q := Quota{N: 2, Per: 10 * time.Second}
	at := func(seconds ...float64) (arrivals []time.Duration) {
		for _, s := range seconds {
			arrivals = append(arrivals, time.Duration(s*float64(time.Second)))
		}
		return arrivals
	}
	for _, s := range servers() {
		if n := s.refuse(at(0, 0, 11, 11, 22, 22), q); n != 0 {
			t.Errorf("%s refuses %d calls that are far apart", s.name, n)
		}
		if n := s.refuse(at(0, 0, 0, 4, 4, 4), q); n == 0 {
			t.Errorf("%s lets twice its quota through", s.name)
		}
	}
	if n := slidingLog(at(0, 0, 10.5), q); n != 0 {
		t.Errorf("sliding log refuses a call after 10.5 s")
	}
	if n := wholeSeconds(at(0.9, 0.9, 10.95), q); n != 1 {
		t.Errorf("whole-second windows refuse %d calls, want 1: that is what the guard is for", n)
	}
}
