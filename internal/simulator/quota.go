package simulator

import (
	"fmt"
	"slices"
	"time"
)

// quotaKey is the key of a quota. The tenant, which belongs to it as well, is the simulator itself.
type quotaKey struct {
	class Class
	appID string
}

// quota is what one app may call of one class, and what it did call.
type quota struct {
	windows []window
	counted []rolling // of the client's own calls that were counted, one for each window
	minute  rolling   // of everything that arrived
	hour    rolling
}

func (s *Simulator) quota(c Class, appID string) *quota {
	key := quotaKey{c, appID}
	q := s.quotas[key]
	if q == nil {
		q = &quota{minute: rolling{per: time.Minute}, hour: rolling{per: time.Hour}}
		for _, w := range []window{
			{limit: s.cfg.PerMinute, per: time.Minute, kind: s.cfg.Window},
			{limit: s.cfg.PerHour, per: time.Hour, kind: s.cfg.Window},
		} {
			if w.limit > 0 {
				q.windows = append(q.windows, w)
				q.counted = append(q.counted, rolling{per: w.per})
			}
		}
		s.quotas[key] = q
	}
	return q
}

// full returns the window that has no room and the longest time until it has, or nil.
func (q *quota) full(now time.Time) (fullest *window, wait time.Duration) {
	for i := range q.windows {
		if w := q.windows[i].wait(now); w > wait {
			fullest, wait = &q.windows[i], w
		}
	}
	return fullest, wait
}

func (q *quota) count(now time.Time) {
	for i := range q.windows {
		q.windows[i].add(now)
	}
}

// window is how the service counts calls against one limit.
type window struct {
	limit int
	per   time.Duration
	kind  Window
	calls []time.Time // that still count, oldest first
	spent float64     // of a token bucket, calls that were not refilled
	at    time.Time   // when that was
}

// stamp is the time as the service keeps it.
func (w *window) stamp(now time.Time) time.Time {
	if w.kind == WholeSecond {
		return now.Truncate(time.Second)
	}
	return now
}

// forget drops the calls that no longer count.
func (w *window) forget(now time.Time) {
	if w.kind == TokenBucket {
		refill := now.Sub(w.at).Seconds() / w.per.Seconds() * float64(w.limit)
		w.spent, w.at = max(0, w.spent-refill), now
		return
	}
	if len(w.calls) == 0 {
		return
	}
	if w.kind == Fixed {
		if !now.Before(w.calls[0].Add(w.per)) {
			w.calls = w.calls[:0]
		}
		return
	}
	start := w.stamp(now).Add(-w.per)
	first := slices.IndexFunc(w.calls, func(t time.Time) bool { return t.After(start) })
	if first < 0 {
		first = len(w.calls)
	}
	w.calls = w.calls[first:]
}

// wait returns how long it is until the window has room, 0 when it has.
func (w *window) wait(now time.Time) time.Duration {
	w.forget(now)
	switch {
	case w.kind == TokenBucket:
		// A token that lacks no more than rounding is there.
		return time.Duration((w.spent + 1 - float64(w.limit)) / float64(w.limit) * float64(w.per)).Truncate(time.Microsecond)
	case len(w.calls) < w.limit:
		return 0
	case w.kind == Fixed:
		return w.calls[0].Add(w.per).Sub(now)
	default:
		return w.calls[len(w.calls)-w.limit].Add(w.per).Sub(now)
	}
}

func (w *window) add(now time.Time) {
	w.forget(now)
	if w.kind == TokenBucket {
		w.spent++
		return
	}
	w.calls = append(w.calls, w.stamp(now))
}

// rolling knows the most calls that fell into any rolling window.
type rolling struct {
	per   time.Duration
	calls []time.Time
	peak  int
}

// add takes a call, which may be no earlier than the one before, and returns how many the window
// that ends with it holds. A call exactly one window ago is no longer in it.
func (r *rolling) add(now time.Time) int {
	start := now.Add(-r.per)
	for len(r.calls) > 0 && !r.calls[0].After(start) {
		r.calls = r.calls[1:]
	}
	r.calls = append(r.calls, now)
	r.peak = max(r.peak, len(r.calls))
	return len(r.calls)
}

// charge counts a call against its app's quota. It returns the window that is full and how long it
// stays so, or nil when the call may go on.
func (s *Simulator) charge(c Class, appID string, now time.Time) (*window, time.Duration) {
	q := s.quota(c, appID)
	full, wait := q.full(now)
	if full == nil || s.cfg.CountRefused {
		q.count(now)
	}
	if full != nil {
		return full, wait
	}
	for i := range q.counted {
		if n := q.counted[i].add(now); n == q.windows[i].limit+1 {
			s.offend("%s: %d calls of app %s within %s up to %s, where %d are allowed",
				c, n, appID, q.windows[i].per, now.Format(time.RFC3339Nano), q.windows[i].limit)
		}
	}
	return nil, 0
}

// Consume lets another tool that signs in as the same app make so many calls now, as far as the
// quota has room. They count for the limits but are no calls in [Truth].
func (s *Simulator) Consume(c Class, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	q := s.quota(c, s.cfg.ClientID)
	for range calls {
		if full, _ := q.full(now); full != nil {
			return
		}
		q.count(now)
	}
}

// spell writes a window's length as the service does, 00:01:00 for a minute.
func spell(d time.Duration) string {
	sec := int(d / time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", sec/3600, sec/60%60, sec%60)
}
