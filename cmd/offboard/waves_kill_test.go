package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"offboard/internal/failpoint"
	"offboard/internal/simulator"
)

// killedWhen kills a command as soon as it logs a message, or lets it kill itself at
// a named point.
func (r *realTenant) killedWhen(ctx context.Context, point failpoint.Point, message string, args ...string) {
	r.t.Helper()
	cmd := r.command(ctx, args...)
	if point != "" {
		cmd.Env = append(cmd.Env, "OFFBOARD_FAILPOINT="+string(point)+":1")
	}
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if message != "" && strings.Contains(lines.Text(), `"message":"`+message+`"`) {
			err = errors.Join(err, cmd.Process.Kill())
			message = ""
		}
	}
	if waited := cmd.Wait(); err != nil || waited == nil || !wasKilled(cmd.ProcessState) || message != "" {
		r.t.Fatalf("%q was not killed: %v\n%s", args, errors.Join(err, waited), &said)
	}
	if err := r.Quiet(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// nextWave is when the journal says that the next wave begins.
func (r *realTenant) nextWave(ctx context.Context) time.Time {
	r.t.Helper()
	stdout, err := r.command(ctx, "status", "--output", "json").Output()
	var s result
	if err == nil {
		err = json.Unmarshal(stdout, &s)
	}
	if err != nil || s.Waves == nil || s.Waves.NextAt == nil {
		r.t.Fatalf("status: %v\n%s", err, stdout)
	}
	return *s.Waves.NextAt
}

// TestKilledBetweenWaves kills the binary when a wave has ended, in the pause behind
// it, after an approval and after the release: what follows waits for the same moment,
// goes on with what was approved, and sends no machine twice.
func TestKilledBetweenWaves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	sim := simulator.New(simulator.Config{Machines: 6, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, AcceptDuplicates: true}).Watch(t)
	r, err := serveReal(t, sim, binary(t, armed))
	if err != nil {
		t.Fatal(err)
	}
	sent := func(want int) {
		t.Helper()
		if n, effects := sim.Effects(); n != want || effects != want {
			t.Fatalf("%d machines by %d actions; want %d", n, effects, want)
		}
	}
	r.killedWhen(ctx, failpoint.WaveEnded, "", "run", r.list, "--comment", "why", "--yes", "--waves", "2,4,100%", "--wave-pause", "5h")
	sent(2)
	next := r.nextWave(ctx)
	for range 2 {
		r.killedWhen(ctx, "", "wave_waiting", "resume")
		if again := r.nextWave(ctx); !again.Equal(next) {
			t.Errorf("the next wave began at %s, and after a kill at %s", next, again)
		}
	}
	sent(2)
	r.killedWhen(ctx, failpoint.RunBegun, "", "resume", "--approve-wave", "2")
	sent(2)
	r.killedWhen(ctx, failpoint.WaveReleased, "", "resume")
	sent(2)
	r.killedWhen(ctx, "", "wave_waiting", "resume")
	sent(4)
	if again := r.nextWave(ctx); !again.After(next) {
		t.Errorf("the third wave is to begin at %s, and the second was to at %s", again, next)
	}
	if code, stderr := r.run(ctx, "resume", "--approve-wave", "3"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	sent(6)
	if code, stderr := r.run(ctx, "journal", "check"); code != 0 {
		t.Errorf("journal check: exit code %d\n%s", code, stderr)
	}
}
