package limiter

import (
	"errors"
	"strings"
)

var (
	// ErrConfig is wrapped by the errors of [New] for a [Config] that makes no sense.
	ErrConfig = errors.New("invalid configuration")
	// ErrClosed is returned for anything that is asked of a closed limiter or ledger,
	// also to those who were waiting when it was closed.
	ErrClosed = errors.New("closed")
	// ErrReadOnly is returned by [Limiter.Take] over a ledger from [ReadLedger].
	ErrReadOnly = errors.New("ledger is open for reading only")
	// ErrInUse is returned by [New] for a ledger that another limiter of this process has.
	ErrInUse = errors.New("ledger already belongs to a limiter")
	// ErrVersion is returned for a ledger that a newer program wrote.
	ErrVersion = errors.New("ledger was written by a newer version")
	// ErrBusy is returned by [OpenLedger] and [Limiter.Take] when another process keeps the ledger locked.
	// It is held for microseconds at a time, so that process is stopped or hangs.
	ErrBusy = errors.New("ledger is locked by another process")
)

// Error is what every function of this package fails with. It wraps the cause:
// one of the sentinels above, the context's error, or an error of the file system.
type Error struct {
	Op   string // what failed: "configure", "take", "open ledger", "read ledger", "close ledger"
	Path string // the ledger's file; "" without one
	Hint string // what a person can do about it; "" if nothing
	Err  error  // the cause
}

// Error says operation, file and cause on one line, without the hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("limiter: " + e.Op)
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
