package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// buildBinary builds the command as it is shipped.
func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "offboard.exe")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// realTenant is a tenant that the built binary speaks to over TLS.
type realTenant struct {
	*tenantServer
	t      *testing.T
	sim    *simulator.Simulator
	binary string
}

func newRealTenant(t *testing.T, c simulator.Config) *realTenant {
	t.Helper()
	sim := simulator.New(c).Watch(t)
	server, err := serveTenant(sim, "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return &realTenant{tenantServer: server, t: t, sim: sim, binary: buildBinary(t)}
}

// command is the binary with the tenant's settings.
func (r *realTenant) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Env = os.Environ()
	for _, s := range r.settings() {
		cmd.Env = append(cmd.Env, s[0]+"="+s[1])
	}
	return cmd
}

// run runs the binary to its end and returns its exit code. What it writes to
// stderr is returned for the failure's sake.
func (r *realTenant) run(ctx context.Context, args ...string) (int, string) {
	r.t.Helper()
	cmd := r.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// TestKilledFiftyTimes kills the binary with SIGKILL at random moments of one
// campaign and resumes it each time. By the tenant's own count every machine is
// offboarded exactly once, and none is left in doubt.
func TestKilledFiftyTimes(t *testing.T) {
	t.Parallel()
	const machines, kills = 300, 50
	r := newRealTenant(t, simulator.Config{
		Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, AcceptDuplicates: true,
		Latency: 400 * time.Millisecond, Jitter: 100 * time.Millisecond, ListLag: 200 * time.Millisecond,
	})
	// A request that is under way when its client dies arrives within the
	// latency, and the list shows it a lag later: the simulator's bounds.
	with := []string{"--per-minute=100000", "--per-hour=1000000", "--settle-wait=1s", "--workers=3"}
	args := append([]string{"run", r.list, "--comment", "why", "--yes"}, with...)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for killed < kills {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+chance.IntN(900))*time.Millisecond)
		code, stderr := r.run(ctx, args...)
		cancel()
		if code == 0 {
			t.Fatalf("the campaign ended after %d kills: make it longer\n%s", killed, stderr)
		}
		if code != -1 {
			t.Fatalf("exit code %d\n%s", code, stderr)
		}
		killed++
		if strings.Contains(stderr, "list enlisted") {
			args = append([]string{"resume"}, with...)
		}
	}
	if code, stderr := r.run(t.Context(), args...); code != 0 {
		t.Fatalf("the last resume: exit code %d\n%s", code, stderr)
	}
	if n, effects := r.sim.Effects(); n != machines || effects != machines {
		t.Errorf("%d machines offboarded by %d actions; want %d by as many", n, effects, machines)
	}
	truth := r.sim.Truth()
	t.Logf("%d kills, %d requests arrived, %d effects", killed, truth.Calls[simulator.ClassOffboard].Arrived, machines)
}
