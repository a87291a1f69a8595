package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

// virtualTenant is a tenant inside a bubble, where hours take no time. The
// commands speak real HTTP to it, over memory.
type virtualTenant struct {
	t    *testing.T
	sim  *simulator.Simulator
	dir  string
	list string
	env  map[string]string
	pipe *simulator.Pipe
	// spoil, if set, changes the world around a command.
	spoil func(*environment, *http.Transport)
}

func newVirtualTenant(t *testing.T, c simulator.Config) *virtualTenant {
	t.Helper()
	sim := simulator.New(c).Watch(t)
	v := &virtualTenant{t: t, sim: sim, dir: t.TempDir(), pipe: simulator.NewPipe(sim)}
	v.list = filepath.Join(v.dir, "machines.csv")
	if err := writeFile(v.list, func(w io.Writer) error { return sim.WriteList(w, 0) }); err != nil {
		t.Fatal(err)
	}
	v.env = map[string]string{
		"AZURE_TENANT_ID":    sim.Config().TenantID,
		"OFFBOARD_TOKEN":     sim.IssueToken(simulator.TokenOptions{Life: 100 * time.Hour}),
		"OFFBOARD_AUTH":      "token",
		"OFFBOARD_API_URL":   "http://127.0.0.1",
		"OFFBOARD_STATE_DIR": filepath.Join(v.dir, "state"),
	}
	return v
}

// run is the real run path but for the network.
func (v *virtualTenant) run(ctx context.Context, args ...string) (exitCode, string, string) {
	v.t.Helper()
	transport := &http.Transport{DialContext: v.pipe.DialContext, MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	var stdout, stderr bytes.Buffer
	env := environment{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv:    func(name string) string { return v.env[name] },
		transport: transport, approver: operator, owner: fileOwner,
	}
	if v.spoil != nil {
		v.spoil(&env, transport)
	}
	code := run(ctx, args, env)
	return code, stdout.String(), stderr.String()
}

func (v *virtualTenant) close() {
	if err := v.pipe.Close(); err != nil {
		v.t.Error(err)
	}
}

// fastest is the shortest round trip of a virtual tenant.
const fastest = 100 * time.Millisecond

// earliest is when the last of n calls can reach the service at the earliest,
// whatever the number of workers.
func earliest(n int) time.Duration {
	last := n - 1
	return time.Duration(last/1500)*time.Hour + time.Duration(last%1500/100)*time.Minute
}

// TestVirtualCampaigns carries whole campaigns out in virtual time, compares
// their length with the exact lower bound, and prints the table.
func TestVirtualCampaigns(t *testing.T) {
	t.Parallel()
	cases := []struct {
		machines int
		atMost   float64 // of the lower bound; 0: as fast as workers and latency allow
		row      string
	}{{100, 0, ""}, {500, 1.05, ""}, {1500, 1.04, ""}, {3000, 1.01, ""}, {10_000, 1.005, ""}}
	t.Run("of", func(t *testing.T) {
		for i := range cases {
			c := &cases[i]
			t.Run(fmt.Sprint(c.machines), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					took, calls := virtualCampaign(t, c.machines)
					bound := earliest(c.machines) + fastest
					ratio := took.Seconds() / bound.Seconds()
					c.row = fmt.Sprintf("| %d | %s | %s | %.4f | %d | %d | %d |", c.machines, took.Round(100*time.Millisecond), bound, ratio, calls.PeakMinute, calls.PeakHour, calls.Throttled)
					if c.atMost > 0 && ratio > c.atMost || c.atMost == 0 && took > 10*time.Second {
						t.Errorf("took %s: %.4f of the lower bound; want at most %.3f", took, ratio, c.atMost)
					}
				})
			})
		}
	})
	table := "\n| machines | took | lower bound | ratio | most in a minute | in an hour | 429 |\n| --- | --- | --- | --- | --- | --- | --- |\n"
	for _, c := range cases {
		table += c.row + "\n"
	}
	t.Log(table)
}

// virtualCampaign carries one campaign out and returns how long it took and what
// the server counted.
func virtualCampaign(t *testing.T, machines int) (time.Duration, simulator.CallTruth) {
	t.Helper()
	return virtualCampaignOf(t, makespanTenant(machines, simulator.Sliding))
}

func virtualCampaignOf(t *testing.T, c simulator.Config) (time.Duration, simulator.CallTruth) {
	t.Helper()
	v := newVirtualTenant(t, c)
	defer v.close()
	began := time.Now()
	code, stdout, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--output", "json", "--log-level", "warn")
	took := time.Since(began)
	if code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	v.checkWindow(c.Machines)
	return took, v.sim.Truth().Calls[simulator.ClassOffboard]
}

// TestStopAndResumeKeepsTheWindow: a campaign is stopped after 90 calls and
// resumed at once; the server never sees more than 100 in any minute.
func TestStopAndResumeKeepsTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		var sent atomic.Int64
		v := newVirtualTenant(t, simulator.Config{
			Machines: 250, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond,
			Observe: func(r simulator.Request) {
				if r.Endpoint == simulator.Offboard && r.Stage == simulator.Answering && sent.Add(1) == 90 {
					stop(interruption{os.Interrupt})
				}
			},
		})
		defer v.close()
		code, _, stderr := v.run(ctx, "run", v.list, "--comment", "why", "--yes", "--workers", "1")
		if code != exitInterrupted || !strings.Contains(stderr, "offboard resume --campaign machines") {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if code, _, stderr := v.run(t.Context(), "resume"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		v.checkWindow(250)
	})
}

// TestTwoCampaignsShareTheQuota: two processes with journals of their own, one
// tenant and app.
func TestTwoCampaignsShareTheQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 300, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond})
		defer v.close()
		lists := v.split(2)
		ended := make(chan string, len(lists))
		for i, list := range lists {
			go func() {
				code, _, stderr := v.run(t.Context(), "run", list, "--comment", "why", "--yes", "--journal", filepath.Join(v.dir, fmt.Sprint("journal", i)))
				if code != exitOK {
					ended <- fmt.Sprintf("exit code %d: %s", code, stderr)
					return
				}
				ended <- ""
			}()
		}
		for range lists {
			if problem := <-ended; problem != "" {
				t.Error(problem)
			}
		}
		v.checkWindow(300)
	})
}

// split writes n lists that share no machine.
func (v *virtualTenant) split(n int) (paths []string) {
	v.t.Helper()
	machines := v.sim.Machines()
	for i := range n {
		path := filepath.Join(v.dir, fmt.Sprintf("part%d.txt", i))
		err := writeFile(path, func(w io.Writer) error {
			var err error
			for _, m := range machines[i*len(machines)/n : (i+1)*len(machines)/n] {
				_, e := fmt.Fprintln(w, m.ID)
				err = errors.Join(err, e)
			}
			return err
		})
		if err != nil {
			v.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// checkWindow looks at the server's own log.
func (v *virtualTenant) checkWindow(machines int) {
	v.t.Helper()
	calls := v.sim.Truth().Calls[simulator.ClassOffboard]
	if calls.PeakMinute > 100 || calls.PeakHour > 1500 || calls.Throttled > 0 {
		v.t.Errorf("the server saw %d calls in a minute, %d in an hour, %d × 429", calls.PeakMinute, calls.PeakHour, calls.Throttled)
	}
	if n, effects := v.sim.Effects(); n != machines || effects != machines {
		v.t.Errorf("%d machines offboarded by %d actions; want %d", n, effects, machines)
	}
}

// TestListsThatChange: machines that were added are compared with the tenant
// before they are sent, and one that left the list while in doubt is not sent
// even when nothing arrived.
func TestListsThatChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{
			Machines: 4, Seed: 1, Latency: 100 * time.Millisecond, SettleAfter: -1, AcceptDuplicates: true,
			Faults: []simulator.Fault{{Kind: simulator.DropBefore, Nth: 1}},
		})
		defer v.close()
		ids := v.sim.Machines()
		list := func(name string, machines ...int) string {
			path := filepath.Join(v.dir, name)
			err := writeFile(path, func(w io.Writer) error {
				var err error
				for _, i := range machines {
					_, e := fmt.Fprintln(w, ids[i].ID)
					err = errors.Join(err, e)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		run := func(list string, want exitCode) {
			t.Helper()
			if code, _, stderr := v.run(t.Context(), "run", list, "--campaign", "c", "--comment", "why", "--yes", "--workers", "1", "--settle-wait", "5m", "--retry-for", "1s"); code != want {
				t.Fatalf("exit code %d, want %d: %s", code, want, stderr)
			}
		}
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { stop(interruption{os.Interrupt}) })
		// Machine 0 is in doubt when the first run stops, and leaves the list.
		if code, _, stderr := v.run(ctx, "run", list("a.txt", 0, 1), "--campaign", "c", "--comment", "why", "--yes", "--workers", "1"); code != exitInterrupted {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		v.sim.Act(ids[2].ID, "by another host")
		run(list("b.txt", 1, 2, 3), exitOK)
		truth := v.sim.Truth()
		if n := truth.Machines[ids[0].ID].Requests; n != 1 {
			t.Errorf("the machine that left the list was asked for %d times", n)
		}
		if n := truth.Machines[ids[2].ID].Effects; n != 1 {
			t.Errorf("the machine that another host has offboarded: %d effects", n)
		}
		code, stdout, _ := v.run(t.Context(), "status", "--campaign", "c", "--output", "json")
		if code != exitOK || !strings.Contains(stdout, `"accepted":3,"cancelled":0,"excluded":1`) {
			t.Errorf("exit code %d: %s", code, stdout)
		}
	})
}

// TestFollowForDays: a campaign is followed until the last device that is off
// has timed out. The list API's own quota holds, and the looks are few.
func TestFollowForDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const machines = 300
		v := newVirtualTenant(t, simulator.Config{
			Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, Offline: 0.2, Failing: 0.05, SettleAfter: time.Hour,
		})
		defer v.close()
		if code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		before := v.sim.Truth().Calls[simulator.ClassActions].Arrived
		began := time.Now()
		code, stdout, stderr := v.run(t.Context(), "follow", "--output", "json")
		var r result
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v: %s%s", err, stdout, stderr)
		}
		if took := time.Since(began); code != exitRejected || took < 71*time.Hour || took > 74*time.Hour {
			t.Errorf("exit code %d after %s: %s", code, took, stderr)
		}
		if r.Counts["succeeded"]+r.Counts["failed"]+r.Counts["timed_out"] != machines || r.Counts["timed_out"] < machines/10 || r.Counts["failed"] == 0 {
			t.Errorf("%v", r.Counts)
		}
		if calls := v.sim.Truth().Calls[simulator.ClassActions].Arrived - before; calls > 150 {
			t.Errorf("%d list calls in three days", calls)
		}
		v.checkWindow(machines)

		// A device that reports again is no success, whatever its action says.
		back := v.sim.Machines()[0]
		back.LastSeen = time.Now()
		v.sim.AddMachine(back)
		code, stdout, stderr = v.run(t.Context(), "verify")
		if code != exitRejected || !strings.Contains(stdout, back.ID+"  ") || !strings.Contains(stdout, "299 silent; 1 still reporting") {
			t.Errorf("verify: exit code %d: %s%s", code, stdout, stderr)
		}
	})
}

// TestTenantInUpperCase: the same tenant is the same journal and quota however
// it is spelled.
func TestTenantInUpperCase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 3, Seed: 1})
		defer v.close()
		for _, tenant := range []string{v.env["AZURE_TENANT_ID"], strings.ToUpper(v.env["AZURE_TENANT_ID"])} {
			if code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--tenant", tenant); code != exitOK {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
		}
		journals, err := filepath.Glob(filepath.Join(v.env["OFFBOARD_STATE_DIR"], "*.journal"))
		if err != nil || len(journals) != 1 {
			t.Errorf("%v, %v", journals, err)
		}
		v.checkWindow(3)
	})
}

// TestCountsAddUp holds the JSON contract where it is about arithmetic.
func TestCountsAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 40, Seed: 1, Latency: 100 * time.Millisecond})
		defer v.close()
		for _, m := range v.sim.Machines()[:5] {
			v.sim.RemoveMachine(m.ID)
		}
		code, stdout, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--output", "json")
		var r result
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v: %s%s", err, stdout, stderr)
		}
		sum := 0
		for _, n := range r.Counts {
			sum += n
		}
		if sum != r.List.Machines || sum != 40 || len(r.Counts) != 10 || r.Counts["rejected"] != 5 {
			t.Errorf("%+v", r)
		}
		if code != exitRejected || *r.ExitCode != int(code) || r.Calls.Sent != 45 {
			t.Errorf("exit code %d, %+v", code, r)
		}
	})
}
