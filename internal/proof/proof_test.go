package proof_test

import (
	"os"
	"path/filepath"
	"testing"

	"offboard/internal/proof"
)

// witness is a test that is only watched.
type witness struct {
	testing.TB
	failed bool
}

func (w *witness) Helper()               {}
func (w *witness) Log(...any)            {}
func (w *witness) Error(...any)          { w.failed = true }
func (w *witness) Errorf(string, ...any) { w.failed = true }

func TestReport(t *testing.T) {
	good := proof.Row{Promise: proof.AtMostOnce, Harness: "harness", Cases: 3, Faults: 2, Controls: 1, Caught: 1}
	for name, c := range map[string]struct {
		change func(*proof.Row)
		fails  bool
	}{
		"a promise that holds":     {func(*proof.Row) {}, false},
		"a violation":              {func(r *proof.Row) { r.Violations = 1 }, true},
		"a control not caught":     {func(r *proof.Row) { r.Caught = 0 }, true},
		"no control":               {func(r *proof.Row) { r.Controls, r.Caught = 0, 0 }, true},
		"no case":                  {func(r *proof.Row) { r.Cases = 0 }, true},
		"no fault in any of cases": {func(r *proof.Row) { r.Faults = 0 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			table := filepath.Join(t.TempDir(), "table")
			t.Setenv("OFFBOARD_PROOF", table)
			row, w := good, &witness{TB: t}
			c.change(&row)
			proof.Report(w, row)
			if w.failed != c.fails {
				t.Errorf("failed: %t", w.failed)
			}
			if got, err := os.ReadFile(table); err != nil || string(got) != row.String()+"\n" {
				t.Errorf("the table holds %q, %v", got, err)
			}
		})
	}
}
