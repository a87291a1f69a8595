package limiter

import (
	"fmt"
	"time"
)

// Quota is a number of calls within a time: at most N in any window of length Per.
type Quota struct {
	N   int           // calls, 1 to 1,000,000
	Per time.Duration // length of the window, more than 0
}

// String returns the quota in words, such as "100 per 1m0s".
func (q Quota) String() string { return fmt.Sprintf("%d per %s", q.N, q.Per) }

// DefaultQuotas returns the limits that Microsoft documents for each of the
// Defender for Endpoint APIs used here (offboard, list and get of machine
// actions and of machines): 100 calls a minute and 1,500 calls an hour for one
// application in one tenant. See "Limitations" on the page of each API, for
// instance https://learn.microsoft.com/defender-endpoint/api/offboard-machine-api.
func DefaultQuotas() []Quota {
	return []Quota{{N: 100, Per: time.Minute}, {N: 1500, Per: time.Hour}}
}

// Pace says how the calls of a window are spread over it.
type Pace int

const (
	// Burst sends as fast as tokens come back: a fresh quota goes out at once. The default.
	Burst Pace = iota
	// Even leaves the same time between any two calls, as the scarcest quota demands.
	Even
)

// String returns "burst" or "even".
func (p Pace) String() string {
	switch p {
	case Burst:
		return "burst"
	case Even:
		return "even"
	default:
		return fmt.Sprintf("Pace(%d)", int(p))
	}
}

// ParsePace reads what [Pace.String] writes. Its error wraps [ErrConfig].
func ParsePace(s string) (Pace, error) {
	for _, p := range []Pace{Burst, Even} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, &Error{
		Op:   "configure",
		Hint: "the paces are burst and even",
		Err:  fmt.Errorf("%w: unknown pace %q", ErrConfig, s),
	}
}

// Throttle is what an answer 429 said.
type Throttle struct {
	// Wait is how long to stay away: the Retry-After header's, else the message's.
	// Zero or less: it did not say.
	Wait time.Duration
	// Period is the window that the message named. Zero: it did not say.
	Period time.Duration
}

const (
	defaultPause = time.Minute // of a 429 that says nothing
	maxPause     = time.Hour   // the longest window there is; nothing is gained beyond it
	pauseMargin  = time.Second // services round their waits down to whole seconds
	longestPause = maxPause + pauseMargin
)

// pause returns how long everyone stays away after this 429.
func (r Throttle) pause() time.Duration {
	d := defaultPause
	switch {
	case r.Wait > 0:
		d = r.Wait
	case r.Period > 0:
		d = r.Period
	}
	return min(d, maxPause) + pauseMargin
}
