//go:build linux || darwin

package limiter

import "golang.org/x/sys/unix"

// difference returns how far one of the system's clocks is ahead of another, in
// nanoseconds; 0 if they cannot be read.
func difference(all, awake int32) int64 {
	const attempts, quick = 10, 1_000_000
	var d int64
	for range attempts {
		var before, at, after unix.Timespec
		if unix.ClockGettime(awake, &before) != nil || unix.ClockGettime(all, &at) != nil || unix.ClockGettime(awake, &after) != nil {
			return 0
		}
		d = at.Nano() - before.Nano()
		if after.Nano()-before.Nano() < quick {
			break // nothing came in between
		}
	}
	return d
}
