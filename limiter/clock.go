package limiter

import "time"

// clock is the ledger's time line as one process sees it: the wall clock when
// the ledger was opened, and monotonic from there on. Where the machine's sleep is
// left out of that it is added: otherwise the stamps of a process that slept would
// lie in the past of one that begins afterwards, which would take them for old.
type clock struct {
	opened time.Time
	wall   int64 // the wall clock at opened, in Unix nanoseconds
	base   int64 // the ledger's moment at opened, likewise

	asleep func() int64 // how long the machine has slept since some moment
	slept  int64        // of that, before opened

	last int64 // what now returned last
}

// leastSleep is the shortest sleep that is taken for one, in nanoseconds. Between
// two readings of the system's clocks some time passes too.
const leastSleep = int64(100 * time.Millisecond)

// newClock takes the wall clock and the monotonic one in one reading: what lay
// between two would have the stamps of this process lie in the past for the others.
func newClock(wrong time.Duration) clock {
	slept, now := asleep(), time.Now()
	wall := min(max(0, now.Add(wrong).UnixNano()), maxStamp-1)
	return clock{opened: now, wall: wall, base: wall, asleep: asleep, slept: slept}
}

func (c *clock) now() int64 {
	now := c.base + int64(time.Since(c.opened))
	if slept := c.asleep() - c.slept; slept >= leastSleep {
		now += slept
	}
	c.last = now
	return now
}

// reach moves the clock forward if it is behind a moment that another process
// has already seen: otherwise its stamps would lie in the future of ours.
func (c *clock) reach(moment int64) {
	if behind := moment - c.now(); behind > 0 {
		c.base += behind
	}
}

// ahead returns how far the ledger's time line is ahead of the wall clock.
func (c *clock) ahead() int64 { return c.base - c.wall }
