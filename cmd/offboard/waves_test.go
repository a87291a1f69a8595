package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

// TestWavesStopAndGoOn: the second of three waves fails, and the third waits for
// a person. A run that is stopped in a pause leaves the rest of it to the next.
func TestWavesStopAndGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 30, Seed: 1, Latency: 300 * time.Millisecond})
		defer v.close()
		for _, m := range v.sim.Machines()[12:15] {
			v.sim.RemoveMachine(m.ID)
		}
		began := time.Now()
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Hour, func() { stop(interruption{os.Interrupt}) })
		if code, _, stderr := v.run(ctx, "run", v.list, "--comment", "why", "--yes", "--waves", "10,20,100%", "--wave-pause", "2h"); code != exitInterrupted {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		v.sent(10)
		code, _, stderr := v.run(t.Context(), "resume", "--max-failures", "4")
		if code != exitRejected {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if took := time.Since(began); took < 4*time.Hour || took > 4*time.Hour+10*time.Minute {
			t.Errorf("three waves with two pauses took %s", took)
		}
		v.sent(27)
	})
}

// TestFailingWaveHoldsTheNext stops before the third wave, whoever resumes, until
// it is approved.
func TestFailingWaveHoldsTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 300, Seed: 1, Latency: 300 * time.Millisecond})
		defer v.close()
		for _, m := range v.sim.Machines()[120:130] {
			v.sim.RemoveMachine(m.ID)
		}
		args := []string{"run", v.list, "--comment", "why", "--yes", "--waves", "100,200,100%", "--max-failures", "5"}
		for range 4 {
			code, _, stderr := v.run(t.Context(), args...)
			if code != exitGuard || !strings.Contains(stderr, "wave ") {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			args = []string{"resume"}
			if strings.Contains(stderr, "--approve-wave=3") {
				break
			}
		}
		v.sent(190)
		if code, _, stderr := v.run(t.Context(), "resume", "--approve-wave", "3"); code != exitRejected {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		v.sent(290)
	})
}

// TestWavesWaitForSuccess: the next wave begins when the devices that are awake
// have acted, and where they do not, a timeout stops or goes on.
func TestWavesWaitForSuccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, onTimeout string
		settle          time.Duration
		want            exitCode
		effects         int
		least, most     time.Duration
	}{
		{"they act", "stop", time.Hour, exitOK, 6, time.Hour, 3 * time.Hour},
		{"stop", "stop", 24 * time.Hour, exitGuard, 3, 6 * time.Hour, 7 * time.Hour},
		{"continue", "continue", 24 * time.Hour, exitOK, 6, 6 * time.Hour, 7 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtualTenant(t, simulator.Config{Machines: 6, Seed: 1, Latency: 300 * time.Millisecond, SettleAfter: c.settle})
				defer v.close()
				began := time.Now()
				code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--waves", "50%,100%",
					"--wave-until-succeeded", "90%", "--wave-timeout", "6h", "--wave-on-timeout", c.onTimeout)
				if took := time.Since(began); code != c.want || took < c.least || took > c.most {
					t.Fatalf("exit code %d after %s: %s", code, took, stderr)
				}
				v.sent(c.effects)
			})
		})
	}
}
