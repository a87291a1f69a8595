//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

const variable = "OFFBOARD_FAILPOINT"

// target is the point that is armed, and how many passes are left to live.
type target struct {
	point Point
	left  atomic.Int64
}

var armed = parse(os.Getenv(variable))

// parse reads name:n. A setting that could never kill must not look like a run
// that survived.
func parse(setting string) *target {
	if setting == "" {
		return nil
	}
	name, number, _ := strings.Cut(setting, ":")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || !slices.Contains(All(), Point(name)) {
		panic(fmt.Sprintf("%s=%s names no passing of a point", variable, setting))
	}
	t := &target{point: Point(name)}
	t.left.Store(n)
	return t
}

// Hit ends the process if the point is armed and this is the passing that was
// asked for.
func Hit(p Point) {
	if armed != nil && armed.point == p && armed.left.Add(-1) == 0 {
		die(p)
	}
}

// die ends the process as SIGKILL does: no deferred function runs, no buffer is
// flushed. It says so before, since a test has to know which death it saw.
func die(p Point) {
	_, _ = fmt.Fprintf(os.Stderr, "\nkilled at %s\n", p)
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // until the signal has arrived
}
