package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
)

// ledgers are the files that hold a virtual tenant's quotas.
func (v *virtualTenant) ledgers() (paths []string) {
	v.t.Helper()
	a := &app{env: environment{getenv: func(name string) string { return v.env[name] }}}
	for _, api := range []string{"offboard", "list"} {
		path, err := a.ledgerPath(journal.Tenant{ID: v.env["AZURE_TENANT_ID"], Cloud: "127.0.0.1"}, v.sim.Config().ClientID, api)
		if err != nil {
			v.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// keepLocked does to the ledgers what a process does that hangs while it has them,
// until release is called.
func (v *virtualTenant) keepLocked() (release func()) {
	v.t.Helper()
	var locks []*flock.Flock
	for _, path := range v.ledgers() {
		lock := flock.New(path + ".lock")
		if ok, err := lock.TryLockContext(v.t.Context(), time.Millisecond); !ok || err != nil {
			v.t.Fatal(err)
		}
		locks = append(locks, lock)
	}
	return sync.OnceFunc(func() {
		for _, lock := range locks {
			_ = lock.Unlock()
		}
	})
}

// breakages are the ways in which the ledgers are not to be had from the start.
func breakages() map[string]func(*virtualTenant) (release func()) {
	return map[string]func(*virtualTenant) func(){
		"a directory in its place": func(v *virtualTenant) func() {
			for _, path := range v.ledgers() {
				v.must(os.MkdirAll(path, 0o700))
			}
			return func() {}
		},
		"no directory can be made": func(v *virtualTenant) func() {
			dir := filepath.Dir(v.ledgers()[0])
			v.must(os.MkdirAll(filepath.Dir(dir), 0o700))
			v.must(os.WriteFile(dir, nil, 0o600))
			return func() {}
		},
		"kept locked": func(v *virtualTenant) func() {
			v.must(os.MkdirAll(filepath.Dir(v.ledgers()[0]), 0o700))
			return v.keepLocked()
		},
	}
}

func (v *virtualTenant) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// over says whether the tenant saw more calls than it allows, or than there should
// be machines.
func (v *virtualTenant) over(perMinute, machines int) bool {
	v.t.Helper()
	calls := v.sim.Truth().Calls[simulator.ClassOffboard]
	n, effects := v.sim.Effects()
	v.t.Logf("%d calls in a minute, %d × 429, %d machines by %d actions", calls.PeakMinute, calls.Throttled, n, effects)
	return calls.PeakMinute > perMinute || calls.Throttled > 0 || n != machines || effects != machines
}

// together runs one campaign for each list at the same time, and fails unless all
// of them end as they should. It returns what they wrote to stderr.
func (v *virtualTenant) together(lists []string, args ...string) (stderr []string) {
	v.t.Helper()
	stderr = make([]string, len(lists))
	var all sync.WaitGroup
	for i, list := range lists {
		all.Go(func() {
			var code exitCode
			all := append([]string{"run", list, "--comment", "why", "--yes", "--journal", filepath.Join(v.dir, fmt.Sprint("journal", i))}, args...)
			if code, _, stderr[i] = v.run(v.t.Context(), all...); code != exitOK {
				v.t.Errorf("exit code %d: %s", code, stderr[i])
			}
		})
	}
	all.Wait()
	return stderr
}

// saidAlone says whether a run has told of going on without the ledger, and of
// which one.
func (v *virtualTenant) saidAlone(stderr string) bool {
	return strings.Contains(stderr, "counts alone and keeps to its share") && strings.Contains(stderr, filepath.Dir(v.ledgers()[0]))
}

const loneMachines = 130

func newLoneTenant(t *testing.T, observe func(simulator.Request)) *virtualTenant {
	t.Helper()
	return newVirtualTenant(t, simulator.Config{
		Machines: loneMachines, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond, Observe: observe,
	})
}

// TestWithoutTheLedger takes the quota ledgers away, before runs begin and under
// them.
func TestWithoutTheLedger(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.WithinLimits, Harness: "quota ledger not to be had", Controls: 1}
	count := func(over bool) {
		row.Cases++
		row.Faults++
		if over {
			row.Violations++
		}
	}
	for name, spoil := range breakages() {
		synctest.Test(t, func(t *testing.T) {
			t.Log(name)
			count(stoppedAndResumedAlone(t, spoil))
		})
		synctest.Test(t, func(t *testing.T) { count(twoAlone(t, spoil, "0.5")) })
	}
	synctest.Test(t, func(t *testing.T) { count(twoLeftAlone(t)) })
	synctest.Test(t, func(t *testing.T) { count(stoppedWithoutPart(t)) })
	synctest.Test(t, func(t *testing.T) {
		if twoAlone(t, breakages()["no directory can be made"], "0.9") {
			row.Caught++
		}
	})
	proof.Report(t, row)
}

// stoppedAndResumedAlone has a run refused for want of a part of the quota, given
// one, stopped within a minute and resumed at once.
func stoppedAndResumedAlone(t *testing.T, spoil func(*virtualTenant) func()) (over bool) {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	var sent atomic.Int64
	v := newLoneTenant(t, func(r simulator.Request) {
		if r.Endpoint == simulator.Offboard && r.Stage == simulator.Answering && sent.Add(1) == 40 {
			stop(interruption{os.Interrupt})
		}
	})
	defer v.close()
	defer spoil(v)()
	args := []string{"run", v.list, "--comment", "why", "--yes"}
	code, _, stderr := v.run(t.Context(), args...)
	if code != exitUnexpected || !strings.Contains(stderr, "give --share below 1") || !strings.Contains(stderr, filepath.Dir(v.ledgers()[0])) {
		t.Errorf("without a part of the quota: exit code %d: %s", code, stderr)
	}
	if n := v.sim.Truth().Calls[simulator.ClassOffboard].Arrived; n > 0 {
		t.Errorf("%d calls were made nevertheless", n)
	}
	if code, _, stderr := v.run(ctx, append(args, "--share", "0.5")...); code != exitInterrupted || !v.saidAlone(stderr) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := v.run(t.Context(), "resume", "--share", "0.5"); code != exitOK || !v.saidAlone(stderr) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	return v.over(50, loneMachines)
}

// twoAlone runs two processes that know nothing of each other.
func twoAlone(t *testing.T, spoil func(*virtualTenant) func(), share string) (over bool) {
	t.Helper()
	v := newLoneTenant(t, nil)
	defer v.close()
	defer spoil(v)()
	for _, stderr := range v.together(v.split(2), "--share", share) {
		if !v.saidAlone(stderr) {
			t.Error(stderr)
		}
	}
	return v.over(100, loneMachines)
}

// lockedAt has the ledgers kept locked from the nth call on.
func lockedAt(t *testing.T, nth int64) (v *virtualTenant, release func()) {
	t.Helper()
	var sent atomic.Int64
	unlock := make(chan func(), 1)
	v = newLoneTenant(t, func(r simulator.Request) {
		if r.Endpoint == simulator.Offboard && r.Stage == simulator.Arrived && sent.Add(1) == nth {
			unlock <- v.keepLocked()
		}
	})
	return v, func() { (<-unlock)() }
}

// twoLeftAlone has two processes lose the ledger that they share.
func twoLeftAlone(t *testing.T) (over bool) {
	t.Helper()
	v, release := lockedAt(t, 30)
	defer v.close()
	for _, stderr := range v.together(v.split(2), "--share", "0.5") {
		if !v.saidAlone(stderr) {
			t.Error(stderr)
		}
	}
	release()
	return v.over(100, loneMachines)
}

// stoppedWithoutPart has a run lose its ledger that has no part of the quota: it
// stops, and is resumed when the ledger is back.
func stoppedWithoutPart(t *testing.T) (over bool) {
	t.Helper()
	v, release := lockedAt(t, 30)
	defer v.close()
	code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes")
	if code != exitUnexpected || !strings.Contains(stderr, "locked by another process") || !strings.Contains(stderr, "give --share below 1") || !strings.Contains(stderr, "offboard resume") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	release()
	if code, _, stderr := v.run(t.Context(), "resume"); code != exitOK {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	return v.over(100, loneMachines)
}
