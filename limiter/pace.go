package limiter

import (
	"time"

	"golang.org/x/time/rate"
)

// meter is one quota at work: what its account may hold, and its bucket.
type meter struct {
	Quota
	window int64 // Per and the guard, in nanoseconds
	even   bool  // always, by configuration
	bucket *rate.Limiter
}

func newMeter(q Quota, guard time.Duration, p Pace) *meter {
	m := &meter{Quota: q, window: int64(q.Per + guard), even: p == Even}
	m.bucket = m.fill(m.burst(false))
	return m
}

// fill returns a full bucket of that size. It runs at the speed of the account,
// guard included, so that an even pace does not stumble over the account.
func (m *meter) fill(burst int) *rate.Limiter {
	perSecond := float64(m.N) / time.Duration(m.window).Seconds()
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// burst is how many calls may go at once: all, or one at an even pace.
func (m *meter) burst(even bool) int {
	if m.even || even {
		return 1
	}
	return m.N
}

// mark is where the ledger keeps until when this quota is paced evenly.
func (m *meter) mark() mark { return mark{evenly, bits(int64(m.Per))} }

// steer sets the bucket to what the pace demands now. When an even pace is over
// the bucket is full again: the account alone says what is left of the quota.
func (m *meter) steer(even bool) {
	switch burst := m.burst(even); {
	case burst < m.bucket.Burst():
		m.bucket.SetBurst(burst)
	case burst > m.bucket.Burst():
		m.bucket = m.fill(burst)
	}
}

// wait returns how long the bucket wants a call to wait. It takes nothing:
// a waiter who gives up would lose it, since a reservation whose time has come
// cannot be returned.
func (m *meter) wait() time.Duration {
	missing := 1 - m.bucket.Tokens()
	if missing <= 0 {
		return 0
	}
	// Less than a nanosecond is what rounding leaves, and counts as nothing, as it
	// does in the bucket itself.
	return time.Duration(missing / float64(m.bucket.Limit()) * float64(time.Second))
}

// spend takes one call out of the bucket, refund puts it back. The bucket has
// no method for the latter, but takes a negative number as one.
func (m *meter) spend()  { m.bucket.AllowN(time.Now(), 1) }
func (m *meter) refund() { m.bucket.AllowN(time.Now(), -1) }
