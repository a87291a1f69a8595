//go:build !linux && !darwin

package limiter

// asleep returns what the monotonic clock leaves out. On Windows it goes on while
// the machine sleeps; elsewhere the system does not tell.
func asleep() int64 { return 0 }
