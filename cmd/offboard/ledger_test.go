package main

import (
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/limiter"
)

// lacking is how many calls the journal would add to the quota ledger as it is now,
// and how many it knows of.
func (v *virtualTenant) lacking() (lacking, known int) {
	v.t.Helper()
	a := &app{env: environment{getenv: func(name string) string { return v.env[name] }}}
	path, err := a.journalPath("", journal.Tenant{ID: v.env["AZURE_TENANT_ID"], Cloud: "127.0.0.1"})
	v.must(err)
	j, err := journal.Open(path, journal.Tenant{}, journal.Options{ReadOnly: true})
	v.must(err)
	defer j.Close()
	s := &session{app: a, journal: j}
	_, err = limiter.ReadLedger(v.ledgers()[0], func(m limiter.Mark) ([]limiter.Call, error) {
		calls, err := s.recentCalls(m)
		lacking = len(calls)
		return calls, err
	})
	v.must(err)
	all, err := s.recentCalls(limiter.Mark{})
	v.must(err)
	return lacking, len(all)
}

func (v *virtualTenant) send(want exitCode, args ...string) {
	v.t.Helper()
	args = append([]string{"run", v.list, "--campaign", "c", "--comment", "why", "--yes"}, args...)
	if code, _, stderr := v.run(v.t.Context(), args...); code != want {
		v.t.Fatalf("exit code %d: %s", code, stderr)
	}
}

// TestLedgerAfterARun: after an orderly end the journal is asked for nothing that the
// ledger has, and for everything that a ledger may lack which is not that one or an
// older state of it. The rest of the list follows at once, and no rolling minute ever
// holds more than the quota.
func TestLedgerAfterARun(t *testing.T) {
	t.Parallel()
	const machines, first, second = 250, 60, 90
	for name, test := range map[string]struct {
		spoil   func(path string, older []byte) error
		lacking int
	}{
		"whole":                {func(string, []byte) error { return nil }, 0},
		"lost":                 {func(path string, _ []byte) error { return os.Remove(path) }, first + second},
		"emptied":              {func(path string, _ []byte) error { return os.Truncate(path, 0) }, first + second},
		"cut off":              {func(path string, _ []byte) error { return os.Truncate(path, 64) }, first + second},
		"as it was in between": {func(path string, older []byte) error { return os.WriteFile(path, older, 0o600) }, first + second}, // it has a part of them, which the limiter finds out
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1, PerMinute: 100, PerHour: 1500, Latency: 300 * time.Millisecond})
				defer v.close()
				path := v.ledgers()[0]
				v.send(exitBudget, "--max-calls", fmt.Sprint(first))
				older, err := os.ReadFile(path)
				v.must(err)
				v.send(exitBudget, "--max-calls", fmt.Sprint(second))
				v.must(test.spoil(path, older))
				if lacking, known := v.lacking(); lacking != test.lacking || known != first+second {
					t.Errorf("the journal adds %d of %d calls, want %d of %d", lacking, known, test.lacking, first+second)
				}
				v.send(exitOK)
				if v.over(100, machines) {
					t.Error("over the limit, or not all were sent")
				}
			})
		})
	}
}
