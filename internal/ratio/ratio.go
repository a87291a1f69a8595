// Package ratio collects what was measured against a reference in the same run,
// so that one table can say of every figure whether it reached its target.
//
// Measurements are spread over the packages whose code they measure. Under
// `make bench` they run in their long form ([Long]) and their rows become the
// table of docs/performance.md.
package ratio

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// rowsPath names the file that rows are added to, one JSON object a line.
const rowsPath = "OFFBOARD_BENCH"

// Row is one figure.
type Row struct {
	What      string  `json:"what"`
	Reference string  `json:"reference"`
	Measured  float64 `json:"measured"` // what was measured, divided by the reference
	// AtLeast or AtMost is the target; with neither the row only informs.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	Note    string  `json:"note,omitempty"` // the figures behind the ratio
}

// Reached says whether the target was reached.
func (r Row) Reached() bool {
	return r.Measured >= r.AtLeast && (r.AtMost == 0 || r.Measured <= r.AtMost)
}

// Within says whether the figure is at most so many times worse than its target:
// what a guard asks that must not fail for noise.
func (r Row) Within(times float64) bool {
	return r.Measured >= r.AtLeast/times && (r.AtMost == 0 || r.Measured <= r.AtMost*times)
}

func (r Row) target() string {
	switch {
	case r.AtLeast > 0:
		return fmt.Sprintf("≥ %g", r.AtLeast)
	case r.AtMost > 0:
		return fmt.Sprintf("≤ %g", r.AtMost)
	default:
		return "measured"
	}
}

func (r Row) verdict() string {
	switch {
	case r.AtLeast == 0 && r.AtMost == 0:
		return "—"
	case r.Reached():
		return "yes"
	default:
		return "**no**"
	}
}

// Header begins the table.
const Header = "| what | reference | target | measured | reached | figures |\n| --- | --- | --- | --- | --- | --- |\n"

// String returns the row of the table.
func (r Row) String() string {
	return fmt.Sprintf("| %s | %s | %s | %.4g | %s | %s |", r.What, r.Reference, r.target(), r.Measured, r.verdict(), r.Note)
}

// Long says whether measurements are to run in their long form.
func Long() bool { return os.Getenv(rowsPath) != "" }

// Report logs the row and adds it to the table that is being made, if one is.
func Report(tb testing.TB, r Row) {
	tb.Helper()
	tb.Log(r)
	if !Long() {
		return
	}
	if err := Add(os.Getenv(rowsPath), r); err != nil {
		tb.Error(err)
	}
}

// Add appends a row to a file; several processes may do so at once.
func Add(path string, r Row) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the path is the harness's
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// Read returns the rows of a file.
func Read(path string) ([]Row, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the harness's
	if err != nil {
		return nil, err
	}
	var rows []Row
	for line := range strings.Lines(string(text)) {
		var r Row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// Median returns the middle value.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
