package limiter

import (
	"slices"
	"sort"
	"time"
)

// Status is a limiter's account at one moment.
type Status struct {
	Now         time.Time // the moment, on the ledger's time line
	Quotas      []Usage   // in the order of the [Config]
	InFlight    int       // calls of all processes whose end is not known yet
	PausedUntil time.Time // the end of the pause after a 429; zero without one
	Throttled   int       // calls that this limiter was told were refused
}

// Usage is what has become of one quota.
type Usage struct {
	Quota           // N after the share was taken
	Used  int       // calls that count now, those in flight included; may exceed N if the share shrank
	Next  time.Time // when the next token comes back; zero if that depends on calls in flight, or none is out
	Even  bool      // whether the pace is even now, by configuration or after a 429
}

// Status returns the account of all processes that share the ledger. If their
// news cannot be read within a second it is what this process knows.
func (l *Limiter) Status() Status {
	var s Status
	l.ledger.look(func(now int64) { s = l.status(now) })
	return s
}

func (l *Limiter) status(now int64) Status {
	book := &l.ledger.book
	s := Status{Now: time.Unix(0, now), InFlight: book.flying, Throttled: l.throttled}
	if until := l.ledger.until(mark{kind: paused}); until > now {
		s.PausedUntil = time.Unix(0, until)
	}
	for _, m := range l.meters {
		live := book.live(now, m.window)
		u := Usage{Quota: m.Quota, Used: len(live) + book.flying}
		u.Even = m.even || l.ledger.until(m.mark()) > now
		if len(live) > 0 {
			u.Next = time.Unix(0, live[0].base+m.window)
		}
		s.Quotas = append(s.Quotas, u)
	}
	return s
}

// Forecast returns how long it takes from now until that many more calls can
// have been sent under all quotas, given what is spent already, the pause and
// the pace. It takes every call for answered as soon as it is sent, and those
// in flight for answered now.
func (l *Limiter) Forecast(calls int) time.Duration {
	var d time.Duration
	l.ledger.look(func(now int64) { d = l.forecast(now, calls) })
	return d
}

func (l *Limiter) forecast(now int64, calls int) time.Duration {
	g := l.ledger
	bases := make([]int64, 0, len(g.book.over)+g.book.flying+max(0, calls))
	for _, s := range g.book.over {
		bases = append(bases, s.base)
	}
	for range g.book.flying {
		bases = enter(bases, now)
	}
	at := max(now, g.until(mark{kind: paused}))
	due := make([]int64, len(l.meters)) // when the pace lets the next one go
	for i, m := range l.meters {
		due[i] = now + int64(m.wait())
	}
	for range calls {
		for i, m := range l.meters {
			if oldest := len(bases) - m.N; oldest >= 0 {
				at = max(at, bases[oldest]+m.window)
			}
			at = max(at, due[i])
		}
		bases = enter(bases, at)
		for i, m := range l.meters {
			if m.even || at < g.until(m.mark()) {
				due[i] = at + m.window/int64(m.N)
			}
		}
	}
	return time.Duration(at - now)
}

// enter inserts a base where it belongs, which is the end unless calls were
// given up and count from a moment in the future.
func enter(bases []int64, base int64) []int64 {
	at := sort.Search(len(bases), func(i int) bool { return bases[i] > base })
	return slices.Insert(bases, at, base)
}
