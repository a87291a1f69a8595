package limiter

import (
	"fmt"
	"math"
	"time"
)

// Config describes a [Limiter]. Its zero value is a good one for a single
// process: the default quotas in full, in bursts, kept in memory only.
type Config struct {
	// Quotas that all hold at once, each with another Per. Default: [DefaultQuotas].
	Quotas []Quota
	// Share of each quota that is ours to use, more than 0 and at most 1: other tools
	// may use the same app registration. N becomes N×Share rounded down, at least 1.
	// Default: 1.
	Share float64
	// Pace of sending. Default: [Burst].
	Pace Pace
	// Guard is added to every window, for the server's clock and rounding.
	// Default: 1 s, which covers windows counted in whole seconds and a clock that
	// is off by 200 parts per million over an hour.
	Guard time.Duration
	// LateArrival is the longest time after it was given up that a call may still
	// reach the server. Default: 60 s.
	LateArrival time.Duration
	// Ledger holds the account; the limiter closes it. Default: nil, in memory only.
	Ledger *Ledger
	// Alone has [Limiter.Take] go on when the ledger's file is not to be had any more,
	// and is told why, once. From then on the account is in memory, for this process
	// only, so the shares of all processes must add up to no more than 1. Default:
	// nil, and Take fails.
	Alone func(cause error)
}

// maxCalls bounds N, and with it the memory and the ledger file, which takes
// 32 bytes a call.
const maxCalls = 1_000_000

// maxSpan bounds every duration of a Config, so that sums of them never overflow.
const maxSpan = 31 * 24 * time.Hour

// withDefaults fills in what was left out and applies the share, or says which
// field makes no sense.
func (c Config) withDefaults() (Config, error) {
	if len(c.Quotas) == 0 {
		c.Quotas = DefaultQuotas()
	}
	if c.Share == 0 {
		c.Share = 1
	}
	if c.Guard == 0 {
		c.Guard = time.Second
	}
	if c.LateArrival == 0 {
		c.LateArrival = time.Minute
	}
	if err := c.validate(); err != nil {
		return c, &Error{Op: "configure", Err: err}
	}
	shared := make([]Quota, len(c.Quotas))
	for i, q := range c.Quotas {
		shared[i] = Quota{N: q.part(c.Share), Per: q.Per}
	}
	c.Quotas = shared
	return c, nil
}

// part returns the whole calls in a share of the quota, at least one. Products
// such as 100×0.29 fall just short of the number that was meant, hence the margin.
func (q Quota) part(share float64) int {
	return max(1, int(math.Floor(float64(q.N)*share+1e-9)))
}

func (c Config) validate() error {
	seen := map[time.Duration]bool{}
	for _, q := range c.Quotas {
		switch {
		case q.N < 1 || q.N > maxCalls:
			return fmt.Errorf("%w: quota %s: calls are not within 1 to %d", ErrConfig, q, maxCalls)
		case q.Per <= 0 || q.Per > maxSpan:
			return fmt.Errorf("%w: quota %s: window is not within 0 to %s", ErrConfig, q, maxSpan)
		case seen[q.Per]:
			return fmt.Errorf("%w: two quotas per %s", ErrConfig, q.Per)
		}
		seen[q.Per] = true
	}
	switch {
	case !(c.Share > 0 && c.Share <= 1):
		return fmt.Errorf("%w: share %v is not above 0 and at most 1", ErrConfig, c.Share)
	case c.Pace != Burst && c.Pace != Even:
		return fmt.Errorf("%w: unknown pace %s", ErrConfig, c.Pace)
	case c.Guard < 0 || c.Guard > maxSpan:
		return fmt.Errorf("%w: guard %s is not within 0 to %s", ErrConfig, c.Guard, maxSpan)
	case c.LateArrival < 0 || c.LateArrival > maxSpan:
		return fmt.Errorf("%w: late arrival %s is not within 0 to %s", ErrConfig, c.LateArrival, maxSpan)
	}
	return nil
}

// longest returns the time after the base of a call's account when no quota
// counts it any more.
func (c Config) longest() time.Duration {
	var per time.Duration
	for _, q := range c.Quotas {
		per = max(per, q.Per)
	}
	return per + c.Guard
}
