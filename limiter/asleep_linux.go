package limiter

import "golang.org/x/sys/unix"

// asleep returns for how long the machine has slept since it was started: its
// monotonic clock leaves that out.
func asleep() int64 { return difference(unix.CLOCK_BOOTTIME, unix.CLOCK_MONOTONIC) }
