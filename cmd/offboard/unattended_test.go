package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
	"offboard/journal"
)

// unread is a standard input that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("somebody was asked")
	return 0, io.EOF
}

// TestNobodyIsAsked: without a terminal no command reads an answer; it ends and
// says what would have to be given.
func TestNobodyIsAsked(t *testing.T) {
	t.Parallel()
	v := newVirtualTenant(t, simulator.Config{Machines: 3, Seed: 1, PerMinute: -1, PerHour: -1})
	defer v.close()
	v.spoil = func(env *environment, _ *http.Transport) { env.stdin = unread{t} }
	for _, c := range []struct {
		args []string
		want exitCode
		says string
	}{
		{[]string{"run", v.list, "--comment", "why"}, exitUsage, "--yes"},
		{[]string{"run", v.list}, exitUsage, "--comment"},
		{[]string{"run", v.list, "--comment", "why", "--yes", "--auth", "device-code"}, exitUsage, "no terminal"},
		{[]string{"run", v.list, "--comment", "why", "--dry-run"}, exitOK, ""},
		{[]string{"run", v.list, "--comment", "why", "--yes"}, exitOK, ""},
		{[]string{"run", v.list, "--comment", "why"}, exitOK, ""}, // nothing to do, nothing to confirm
		{[]string{"resume"}, exitOK, ""},
		{[]string{"status"}, exitOK, ""},
	} {
		code, _, stderr := v.run(t.Context(), c.args...)
		if code != c.want || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit code %d, want %d\n%s", c.args, code, c.want, stderr)
		}
	}
}

// TestOverlapEndsAtOnce: while a process holds the journal, every other ends with
// 8, without a call to the service and without waiting for the first to end.
func TestOverlapEndsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRealTenant(t, simulator.Config{Machines: 3, Seed: 1, SettleAfter: time.Millisecond})
	path := filepath.Join(t.TempDir(), "held.journal")
	run := []string{"run", r.list, "--comment", "why", "--yes", "--journal", path}
	if code, stderr := r.run(t.Context(), run...); code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	held, err := journal.Open(path, journal.Tenant{ID: r.config.TenantID, Cloud: strings.TrimPrefix(r.URL, "https://")}, journal.Options{Operator: "the first"})
	if err != nil {
		t.Fatal(err)
	}
	before := len(r.sim.Log(simulator.ClassOffboard))
	for _, args := range [][]string{run, {"resume", "--journal", path}, {"follow", "--for", "0", "--journal", path}} {
		if code, stderr := r.run(t.Context(), args...); code != int(exitLocked) {
			t.Errorf("%q: exit code %d, want %d\n%s", args, code, exitLocked, stderr)
		}
	}
	if after := len(r.sim.Log(simulator.ClassOffboard)); after != before {
		t.Errorf("%d calls; want %d", after, before)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if code, stderr := r.run(t.Context(), run...); code != 0 {
		t.Errorf("after the first has ended: exit code %d\n%s", code, stderr)
	}
}
