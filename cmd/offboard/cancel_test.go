package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// takeBack runs cancel or abort, and returns what it says.
func (v *virtualTenant) takeBack(ctx context.Context, want exitCode, args ...string) undoing {
	v.t.Helper()
	code, stdout, stderr := v.run(ctx, append(args, "--reason", "wrong list", "--yes", "--output", "json")...)
	var u undoing
	if err := json.Unmarshal([]byte(stdout), &u); err != nil {
		v.t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if code != want || u.ExitCode != int(want) {
		v.t.Errorf("%v: exit code %d, said %d, want %d: %s", args, code, u.ExitCode, want, stderr)
	}
	return u
}

// begun is a campaign "c" of which so many machines were sent.
func (v *virtualTenant) begun(calls int) {
	v.t.Helper()
	args := []string{"run", v.list, "--campaign", "c", "--comment", "why", "--yes", "--workers", "2", "--max-calls", fmt.Sprint(calls)}
	if code, _, stderr := v.run(v.t.Context(), args...); code != exitBudget && code != exitOK {
		v.t.Fatalf("exit code %d: %s", code, stderr)
	}
}

// checkCancelQuota looks at the server's own log of the cancel API.
func (v *virtualTenant) checkCancelQuota(calls int) {
	v.t.Helper()
	got := v.sim.Truth().Calls[simulator.ClassCancel]
	if got.PeakMinute > 100 || got.PeakHour > 1500 || got.Throttled > 0 || got.Arrived != calls {
		v.t.Errorf("the server saw %d calls to cancel, %d in a minute, %d in an hour, %d × 429; want %d", got.Arrived, got.PeakMinute, got.PeakHour, got.Throttled, calls)
	}
}

// TestAbortRacesCompletion: a campaign is aborted at the very moment when its
// devices act. By the tenant's own account every machine is what the report says,
// the numbers add up, nothing is cancelled that is not the campaign's own, and the
// cancel API's windows hold.
func TestAbortRacesCompletion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const machines, foreign, sent = 180, 5, 160
		v := newVirtualTenant(t, simulator.Config{
			Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond,
			// The first hundred act while they are being cancelled.
			SettleAfter: 64 * time.Second, CancelRace: time.Second, Offline: 0.1, Failing: 0.1,
		})
		defer v.close()
		ids := v.sim.Machines()
		for _, m := range ids[:foreign] {
			v.sim.Act(m.ID, "by hand")
		}
		v.begun(sent)
		u := v.takeBack(t.Context(), exitRejected, "abort")
		truth := v.sim.Truth()
		seen, overtaken := map[runner.CancelResult]int{}, 0
		for _, m := range u.Machines {
			seen[m.Result]++
			fact := truth.Machines[m.MachineID]
			says := m.Result == runner.CancelDone || m.Result == runner.CancelOvertaken
			if says != (len(fact.Cancelled) == 1) {
				t.Errorf("%s is said to be %s, and is %+v", m.MachineID, m.Result, fact)
			}
			if says && fact.Done {
				overtaken++
			}
		}
		t.Logf("%v, of the cancelled %d had been carried out", seen, overtaken)
		for _, r := range []runner.CancelResult{runner.CancelDone, runner.CancelOvertaken, runner.CancelTooLate} {
			if seen[r] == 0 {
				t.Errorf("no machine is %s: there was no race", r)
			}
		}
		sum := 0
		for result, n := range u.Results {
			sum += n
			if seen[result] != n {
				t.Errorf("%d machines are said to be %s, and %d are listed so", n, result, seen[result])
			}
		}
		if sum != sent+foreign || u.Results[runner.CancelNotOurs] != foreign || overtaken == 0 {
			t.Errorf("%d machines, %v, %d overtaken", sum, u.Results, overtaken)
		}
		states := 0
		for _, n := range u.Counts {
			states += n
		}
		if states != machines || u.Counts["planned"] != machines-sent-foreign || u.Counts["accepted"] != foreign {
			t.Errorf("counts %v", u.Counts)
		}
		for i, m := range ids {
			if cancelled := truth.Machines[m.ID].Cancelled; i < foreign && len(cancelled) > 0 {
				t.Errorf("%s was cancelled, and the portal had asked for it", m.ID)
			}
		}
		v.checkCancelQuota(int(u.Calls.Sent))
		v.checkRestIsFree(machines-sent-foreign, sent+foreign)
	})
}

// checkRestIsFree: the aborted campaign sends nothing more, and another one may.
func (v *virtualTenant) checkRestIsFree(rest, before int) {
	v.t.Helper()
	for _, args := range [][]string{{"resume", "--campaign", "c"}, {"run", v.list, "--campaign", "c", "--comment", "why", "--yes"}} {
		if code, _, stderr := v.run(v.t.Context(), args...); code != exitGuard || !strings.Contains(stderr, "was aborted by") {
			v.t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	list := filepath.Join(v.dir, "rest.txt")
	truth := v.sim.Truth()
	err := writeFile(list, func(w io.Writer) error {
		for _, m := range v.sim.Machines() {
			if truth.Machines[m.ID].Effects == 0 {
				if _, err := fmt.Fprintln(w, m.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
	if code, _, stderr := v.run(v.t.Context(), "run", list, "--campaign", "d", "--comment", "why", "--yes"); code != exitOK {
		v.t.Errorf("exit code %d: %s", code, stderr)
	}
	if n, effects := v.sim.Effects(); n != before+rest || effects != n {
		v.t.Errorf("%d machines by %d actions, want %d", n, effects, before+rest)
	}
}

// TestCancelKeepsTheWindow: cancel is stopped in the middle, its ledger is lost,
// and it goes on at once. The server never sees more than 100 calls in a minute,
// and each action is asked for once.
func TestCancelKeepsTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const machines = 130
		v := newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, Offline: 1})
		defer v.close()
		v.begun(machines)
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { stop(interruption{os.Interrupt}) })
		u := v.takeBack(ctx, exitInterrupted, "cancel")
		if done, left := u.Results[runner.CancelDone], u.Results[runner.CancelNotAsked]; done == 0 || left == 0 || done+left != machines {
			t.Errorf("%v", u.Results)
		}
		ledgers, err := filepath.Glob(filepath.Join(v.env["OFFBOARD_STATE_DIR"], "quota", "*-cancel.ledger"))
		if err != nil || len(ledgers) != 1 {
			t.Fatalf("%v, %v", ledgers, err)
		}
		if err := os.Remove(ledgers[0]); err != nil {
			t.Fatal(err)
		}
		left := u.Results[runner.CancelNotAsked]
		if u = v.takeBack(t.Context(), exitOK, "cancel"); u.Results[runner.CancelDone] != left || u.Counts["cancelled"] != machines {
			t.Errorf("%v, %v; %d were left", u.Results, u.Counts, left)
		}
		v.checkCancelQuota(machines)
	})
}

// TestCancelKilled kills the binary while the service has a cancellation, before
// and after it was applied. The next one finishes what is left.
func TestCancelKilled(t *testing.T) {
	t.Parallel()
	for name, stage := range map[string]simulator.Stage{"not applied": simulator.Arrived, "applied": simulator.Answering} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const machines = 6
			trap := newTrap(stage, simulator.CancelAction, 2)
			r := newRealTenant(t, simulator.Config{
				Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, Observe: trap.observe,
			})
			if code, stderr := r.run(t.Context(), "run", r.list, "--campaign", "c", "--comment", "why", "--yes"); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			args := []string{"abort", "--campaign", "c", "--reason", "wrong list", "--yes"}
			cmd := r.command(t.Context(), args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			select {
			case <-trap.sprung:
			case <-ended:
				t.Error("it ended before it could be killed")
			}
			_ = cmd.Process.Kill()
			<-ended
			close(trap.dead)
			if code, stderr := r.run(t.Context(), "resume", "--campaign", "c"); code != int(exitGuard) {
				t.Errorf("resume: exit code %d: %s", code, stderr)
			}
			if code, stderr := r.run(t.Context(), args...); code != 0 {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			for id, m := range r.sim.Truth().Machines {
				if len(m.Cancelled) != 1 || m.Effects != 1 {
					t.Errorf("%s: %+v", id, m)
				}
			}
			if code, stderr := r.run(t.Context(), "journal", "check"); code != 0 {
				t.Errorf("check: exit code %d: %s", code, stderr)
			}
		})
	}
}

// TestCancelLocked: while a run holds the journal nothing is cancelled.
func TestCancelLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "c.journal")
	env := map[string]string{"AZURE_TENANT_ID": "5a1e7c3d-0f42-4b8e-9d61-2c7b3f80a914", "OFFBOARD_STATE_DIR": dir}
	j, err := journal.Open(path, journal.Tenant{ID: env["AZURE_TENANT_ID"], Cloud: "public"}, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	for command, hint := range map[string]string{"cancel": "wait for the other run", "abort": "does not answer"} {
		var stderr strings.Builder
		code := run(t.Context(), []string{command, "--journal", path, "--reason", "wrong list", "--yes"}, environment{
			stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr,
			getenv: func(name string) string { return env[name] }, transport: silent{},
		})
		if code != exitLocked || !strings.Contains(stderr.String(), hint) {
			t.Errorf("%s: exit code %d: %s", command, code, &stderr)
		}
	}
}

// TestAgreeToAbort: a terminal is told what ends and types its number.
func TestAgreeToAbort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 5, Seed: 1, SettleAfter: -1})
		defer v.close()
		v.begun(3)
		for _, typed := range []string{"3\n", "y\n", ""} {
			code, stderr := v.typed(typed, "abort", "--reason", "wrong list")
			if code != exitUsage || !strings.Contains(stderr, "2 machines not sent, 3 with an action that has not ended, which is cancelled where it is the campaign's own, 0 in doubt") {
				t.Errorf("%q: exit code %d: %s", typed, code, stderr)
			}
		}
		v.checkCancelQuota(0)
		if code, stderr := v.typed("5\n", "abort", "--reason", "wrong list"); code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		v.checkCancelQuota(3)
		// Nothing is open any more; a name closes the campaign for good all the same.
		if code, stderr := v.typed("", "abort", "--reason", "wrong list"); code != exitUsage {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		if code, stderr := v.typed("3\n", "cancel", "--reason", "wrong list"); code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr)
		}
	})
}

// typed runs a command at a terminal.
func (v *virtualTenant) typed(text string, args ...string) (exitCode, string) {
	v.t.Helper()
	v.spoil = func(env *environment, _ *http.Transport) { env.interactive, env.stdin = true, strings.NewReader(text) }
	defer func() { v.spoil = nil }()
	code, _, stderr := v.run(v.t.Context(), args...)
	return code, stderr
}

// TestVerifyCancelled: some days after an undo a machine that reports is as it
// should be, and one that is silent was offboarded after all.
func TestVerifyCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 3, Seed: 1, SettleAfter: -1})
		defer v.close()
		v.begun(3)
		v.takeBack(t.Context(), exitOK, "cancel")
		<-time.After(72 * time.Hour)
		all := v.sim.Machines()
		for i := range all {
			all[i].LastSeen = time.Now()
			if i > 0 {
				v.sim.AddMachine(all[i])
			}
		}
		code, stdout, stderr := v.run(t.Context(), "verify")
		if code != exitRejected || !strings.Contains(stdout, all[0].ID) || strings.Contains(stdout, all[1].ID) || !strings.Contains(stdout, "  cancelled") {
			t.Errorf("exit code %d: %s%s", code, stdout, stderr)
		}
		v.sim.AddMachine(all[0])
		if code, stdout, stderr := v.run(t.Context(), "verify", "--output", "json"); code != exitOK || !strings.Contains(stdout, `"reporting":3`) {
			t.Errorf("exit code %d: %s%s", code, stdout, stderr)
		}
	})
}
