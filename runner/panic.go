package runner

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// ErrPanic is returned by [Runner.Run] when a worker panicked: a defect in the
// program. What the others had in flight was finished and recorded; the worker's
// own machine may still be sending in the journal, and the next run treats it as
// in doubt.
var ErrPanic = errors.New("a defect in the program")

// Recovered describes a panic by where it happened. The value is left out unless
// it is the Go runtime's: anything else may hold what must not be told. It has to
// be called by the deferred function that recovered.
func Recovered(value any) error {
	what := fmt.Sprintf("a panic with a %T", value)
	if e, ok := value.(runtime.Error); ok {
		what = e.Error()
	}
	return fmt.Errorf("%w: %s in %s", ErrPanic, what, panicSite())
}

// panicSite names the function that panicked, and the line.
func panicSite() string {
	callers := make([]uintptr, 32)
	// Without this function, Recovered and the deferred one.
	frames := runtime.CallersFrames(callers[:runtime.Callers(4, callers)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s, line %d", f.Function, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// guarded turns a panic into an error, so that the others come to an orderly end
// instead of dying with it.
func guarded(fn func() error) func() error {
	return func() (err error) {
		defer func() {
			if value := recover(); value != nil {
				err = Recovered(value)
			}
		}()
		return fn()
	}
}
