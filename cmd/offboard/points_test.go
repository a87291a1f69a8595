package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"offboard/internal/failpoint"
	"offboard/internal/proof"
	"offboard/internal/simulator"
)

// eventful are faults that make a campaign come by every point: some answers are
// lost, one request is, and one arrives late.
var eventful = []simulator.Fault{
	{Kind: simulator.DropAfter, Nth: 1},
	{Kind: simulator.DropBefore, Nth: 3},
	{Kind: simulator.LateApply, Nth: 5, Delay: 100 * time.Millisecond},
	{Kind: simulator.StatusAfter, Nth: 6},
}

// pointed is a campaign with two machines that are to be adopted.
func pointed(t *testing.T, binary string, faults []simulator.Fault) (*victim, error) {
	t.Helper()
	v, err := newVictim(t, simulator.Config{
		Machines: 10, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, AcceptDuplicates: true, Faults: faults,
	}, binary)
	if err != nil {
		return nil, err
	}
	for _, m := range v.sim.Machines()[4:6] {
		v.sim.Act(m.ID, "by hand")
	}
	return v, nil
}

// killedAt kills a campaign the nth time that its process comes by the point, does
// the same to the next life, and judges how the campaign ends. A forgetful one has
// its protection taken away at each death, and a tenant without faults, so that
// whatever is sent again has its effect.
func killedAt(t *testing.T, binary string, p failpoint.Point, n int, forgetful bool) (kills int, err error) {
	t.Helper()
	faults := eventful
	if forgetful {
		faults = nil
	}
	v, err := pointed(t, binary, faults)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	if p == failpoint.WaveEnded || p == failpoint.WaveReleased {
		v.rules = []string{"--waves", "25%,75%,100%"}
	}
	env := []string{fmt.Sprintf("OFFBOARD_FAILPOINT=%s:%d", p, n)}
	for kills < 2 {
		killed, err := v.live(t.Context(), env, nil)
		if err != nil {
			return kills, err
		}
		if !killed {
			break // the last life may have left nothing that leads by here
		}
		if said := "\nkilled at " + string(p) + "\n"; !bytes.Contains(v.last.Bytes(), []byte(said)) {
			return kills, fmt.Errorf("killed by somebody else\n%s", &v.last)
		}
		kills++
		if forgetful {
			if err := v.forget(); err != nil {
				return kills, err
			}
		}
	}
	return kills, v.end(t.Context())
}

// TestKilledAtEveryPoint kills the binary between every two steps, and the one that
// carries on too. The short form takes a few passings of each point, the long one
// all of them.
func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	path := binary(t, armed)
	var tally tally
	var sweeps []func()
	for _, p := range failpoint.All() {
		sweeps = append(sweeps, func() { sweep(t, path, p, &tally) })
	}
	inParallel(6, sweeps)
	for _, p := range failpoint.All() {
		if tally.kills[p] == 0 {
			t.Errorf("never killed at %s", p)
		}
	}
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "kill -9 at named points"}
	tally.tell(t, &row)
	// At each of these the tenant has acted, and the journal does not know it.
	for _, p := range []failpoint.Point{failpoint.AnswerBegun, failpoint.AnswerReceived, failpoint.TokenTold} {
		row.Controls++
		if _, err := killedAt(t, path, p, 2, true); errors.Is(err, errBroken) {
			row.Caught++
		} else {
			t.Errorf("a blind retry after %s: %v", p, err)
		}
	}
	proof.Report(t, row)
}

// TestKilledBeforeTheListIsJudgedAnew: rules that a run has tightened hold for
// what an earlier one planned, also when it is killed before it has taken the list.
func TestKilledBeforeTheListIsJudgedAnew(t *testing.T) {
	t.Parallel()
	v, err := newVictim(t, simulator.Config{Machines: 4, Seed: 1, SettleAfter: -1}, binary(t, armed))
	if err != nil {
		t.Fatal(err)
	}
	run := []string{"run", v.list, "--comment", "why", "--yes"}
	if code, stderr := v.run(t.Context(), append(run, "--max-calls", "1", "--workers", "1")...); code != int(exitBudget) {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	cmd := v.command(t.Context(), append(run, "--where", "site=Nowhere")...)
	cmd.Env = append(cmd.Env, "OFFBOARD_FAILPOINT="+string(failpoint.CampaignStarted)+":1")
	if _ = cmd.Run(); !wasKilled(cmd.ProcessState) {
		t.Fatalf("it was not killed: %s", cmd.ProcessState)
	}
	if code, stderr := v.run(t.Context(), "resume"); code != int(exitUsage) {
		t.Errorf("resume: exit code %d: %s", code, stderr)
	}
	if n, _ := v.sim.Effects(); n != 1 {
		t.Errorf("%d machines were sent; want 1", n)
	}
}

// TestSettingThatNeverKills: a run that nothing was going to kill must not count as
// one that survived.
func TestSettingThatNeverKills(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"nowhere:1", "token-taken", "token-taken:0", "token-taken:once", ":1"} {
		cmd := exec.CommandContext(t.Context(), binary(t, armed), "version")
		cmd.Env = append(os.Environ(), "OFFBOARD_FAILPOINT="+setting)
		if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("names no passing of a point")) {
			t.Errorf("%s: %v\n%s", setting, err, out)
		}
	}
}

// sweep kills a campaign at one passing of a point after the other, until one ends
// before.
func sweep(t *testing.T, binary string, p failpoint.Point, tally *tally) {
	t.Helper()
	for i := 0; ; i++ {
		n, more := passing(p, i)
		if !more {
			return
		}
		kills, err := killedAt(t, binary, p, n, false)
		if err != nil {
			err = fmt.Errorf("%s:%d: %w", p, n, err)
		}
		tally.add(p, kills, err)
		if kills == 0 {
			return
		}
	}
}

// often are passings, beyond the first, of points that a campaign comes by often.
var often = map[failpoint.Point][]int{
	failpoint.BatchApplied: {8, 12, 20}, failpoint.BatchSynced: {8, 12, 20},
	failpoint.BytesWritten: {8, 12, 20}, failpoint.LedgerSlot: {8, 12, 20},
	failpoint.AnswerBegun: {3}, failpoint.IntentOnDisk: {3}, failpoint.TokenTold: {3}, failpoint.LookMade: {3}, failpoint.WaveEnded: {2}, failpoint.WaveReleased: {2},
}

// passing is the ith passing of a point to kill at: under torture all of them in
// their order, otherwise a few.
func passing(p failpoint.Point, i int) (n int, more bool) {
	few := append([]int{1}, often[p]...)
	switch {
	case proof.Torture():
		return i + 1, true
	case i < len(few):
		return few[i], true
	}
	return 0, false
}
