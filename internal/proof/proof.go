// Package proof collects what the fault harnesses have shown, so that one table
// can say of every promise how often it was attacked and how often it gave way.
//
// A harness calls [Report] once, at its end. Under `make torture` the harnesses
// run in their long form ([Torture]), and their rows become the table in
// docs/guarantees.md.
package proof

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

const (
	longForm  = "OFFBOARD_TORTURE"
	tablePath = "OFFBOARD_PROOF"
)

// Promise is one of the promises of docs/guarantees.md.
type Promise string

// The promises, as the table sorts them.
const (
	AtMostOnce     Promise = "1 at most once"
	WithinLimits   Promise = "2 within the limits"
	NothingLost    Promise = "3 nothing lost, nothing silent"
	NoSecretLeaves Promise = "5 no secret leaves" //nolint:gosec // a promise, not a secret
)

// Row is what one harness has to say.
type Row struct {
	Promise    Promise
	Harness    string // in a few words
	Cases      int    // runs, images or sequences that were judged
	Faults     int    // faults that were injected over all of them
	Violations int    // cases in which the promise did not hold
	Controls   int    // negative controls: the same harness with a part of the protection taken away
	Caught     int    // controls that the harness saw fail, as it must
}

// String returns the row of the table.
func (r Row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d of %d |", r.Promise, r.Harness, r.Cases, r.Faults, r.Violations, r.Caught, r.Controls)
}

// Report logs the row, adds it to the table that is being made, if one is, and
// fails the test when the promise was broken, when a control went unnoticed, or
// when nothing was tried at all.
func Report(tb testing.TB, r Row) {
	tb.Helper()
	tb.Log(r)
	switch {
	case r.Violations > 0:
		tb.Errorf("%s: %d of %d cases break the promise", r.Harness, r.Violations, r.Cases)
	case r.Caught < r.Controls || r.Controls == 0:
		tb.Errorf("%s: %d of %d negative controls were caught; without teeth it shows nothing", r.Harness, r.Caught, r.Controls)
	case r.Cases == 0 || r.Faults == 0:
		tb.Errorf("%s: %d cases with %d faults show nothing", r.Harness, r.Cases, r.Faults)
	}
	if path := os.Getenv(tablePath); path != "" {
		if err := add(path, r); err != nil {
			tb.Error(err)
		}
	}
}

// add appends the row; the test binaries of several packages do so at once.
func add(path string, r Row) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the path is the Makefile's
	if err != nil {
		return err
	}
	if _, err := f.WriteString(r.String() + "\n"); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// Torture says whether the harnesses are to run in their long form.
func Torture() bool { return os.Getenv(longForm) != "" }

// Cases is how many cases to run: few in every test run, many under torture.
func Cases(few, many int) int {
	if Torture() {
		return many
	}
	return few
}
