package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"offboard/internal/failpoint"
	"offboard/internal/simulator"
)

// TestAgainAndKilled kills a run that sends again what has succeeded, before, between and
// after the word and the request. The same command goes on, and given once more does
// nothing: by the tenant's own count every machine is offboarded once more and not twice.
func TestAgainAndKilled(t *testing.T) {
	t.Parallel()
	path := binary(t, armed)
	for _, point := range []string{
		string(failpoint.ListEnlisted) + ":1", string(failpoint.RunBegun) + ":1", string(failpoint.PriorNoted) + ":1",
		string(failpoint.IntentOnDisk) + ":2", string(failpoint.AnswerReceived) + ":2", string(failpoint.OutcomeOnDisk) + ":3",
	} {
		t.Run(strings.ReplaceAll(point, ":", " "), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			againAndKilled(ctx, t, path, point)
		})
	}
}

func againAndKilled(ctx context.Context, t *testing.T, path, point string) {
	t.Helper()
	const machines = 4
	sim := simulator.New(simulator.Config{
		Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: time.Millisecond, AcceptDuplicates: true,
	}).Watch(t)
	r, err := serveReal(t, sim, path)
	if err != nil {
		t.Fatal(err)
	}
	first := []string{"run", r.list, "--campaign", "first", "--comment", "why", "--yes", "--wait"}
	if code, stderr := r.run(ctx, first...); code != 0 {
		t.Fatalf("the first campaign: exit code %d\n%s", code, stderr)
	}
	for _, m := range sim.Machines() {
		sim.Authorise(m.ID, 2)
	}
	again := []string{
		"run", r.list, "--campaign", "second", "--comment", "why", "--yes", "--again", "--reason", "onboarded again",
		"--settle-wait=500ms", "--workers=2",
	}
	killed := r.command(ctx, again...)
	killed.Env = append(killed.Env, "OFFBOARD_FAILPOINT="+point)
	if out, err := killed.CombinedOutput(); err == nil || !wasKilled(killed.ProcessState) {
		t.Fatalf("not killed: %v\n%s", err, out)
	}
	if err := r.Quiet(ctx); err != nil {
		t.Fatal(err)
	}
	for _, time := range []string{"after the kill", "once more"} {
		if code, stderr := r.run(ctx, again...); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", time, code, stderr)
		}
		if n, effects := sim.Effects(); n != machines || effects != 2*machines {
			t.Fatalf("%s: %d machines by %d actions", time, n, effects)
		}
	}
	for _, args := range [][]string{{"follow", "--campaign", "second"}, {"journal", "check"}} {
		if code, stderr := r.run(ctx, args...); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", fmt.Sprint(args), code, stderr)
		}
	}
	if code, stderr := r.run(ctx, again...); code != 0 || !strings.Contains(stderr, "for this reason already") {
		t.Errorf("the same words when they have succeeded: exit code %d\n%s", code, stderr)
	}
	if n, effects := sim.Effects(); n != machines || effects != 2*machines {
		t.Errorf("the same words: %d machines by %d actions", n, effects)
	}
}
