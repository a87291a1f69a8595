package input_test

import (
	"io"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"offboard/input"
	"offboard/internal/ratio"
)

// TestRatioOfReading fails when reading has become several times slower than it
// should be against the standard library. The fastest of several turns counts,
// which other programs on the machine cannot make faster, and the race detector
// measures itself.
func TestRatioOfReading(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); !ok || slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("under the race detector; make test runs this by itself")
	}
	for _, c := range []struct {
		what, path string
		plain      func(io.Reader) int
		atLeast    float64
	}{
		{"CSV", csvList(t), plainCSV, 0.4},
		{"JSON", jsonList(t, `{"value":[`, ",", "]}"), plainJSON, 2},
	} {
		ours, theirs := time.Hour, time.Hour
		for range 7 {
			theirs = min(theirs, took(func() { plainly(t, c.path, c.plain) }))
			ours = min(ours, took(func() {
				if _, err := input.Read(t.Context(), c.path, input.Options{}); err != nil {
					t.Fatal(err)
				}
			}))
		}
		row := ratio.Row{What: "reading " + c.what, Reference: "the standard library", Measured: theirs.Seconds() / ours.Seconds(), AtLeast: c.atLeast}
		if t.Log(row); !row.Within(3) {
			t.Errorf("reading %s: %.2f of the reference, less than a third of %g", c.what, row.Measured, c.atLeast)
		}
	}
}

func plainly(t *testing.T, path string, read func(io.Reader) int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rows := read(f); rows != benchRows {
		t.Fatalf("%d rows", rows)
	}
}

func took(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}
