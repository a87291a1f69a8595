package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
)

// faultMachines are on the list of a campaign that undergoes a fault.
const faultMachines = 6

// namedFault is one thing that goes wrong, and what has to come of it.
type namedFault struct {
	name  string
	sim   []simulator.Fault
	begin func(*disturbed) // before the run
	nth   int
	then  func(*disturbed) // when the answer about the nth machine is ready
	end   func(*disturbed) // between the run and what goes on
	args  []string         // of the run

	code  exitCode
	says  string         // what the operator reads, in part
	holds map[string]int // states of the journal after the run; nil: there is none to be read
	again []string       // goes on and ends with exit code 0; nil: resume
}

// disturbed is a tenant, and a run, under a fault.
type disturbed struct {
	*virtualTenant
	disk  disk
	stop  context.CancelCauseFunc
	renew func() // the token

	mu     sync.Mutex
	dial   error // what connecting fails with
	dialed int   // connections that failed
}

func (d *disturbed) setDial(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dial = err
}

// unplug is the network while a fault lies on it. No connection is kept, so that
// each call has to make one.
func (d *disturbed) unplug(t *http.Transport) {
	t.DisableKeepAlives = true
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		d.mu.Lock()
		err = d.dial
		if err != nil {
			d.dialed++
		}
		d.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return dial(ctx, network, address)
	}
}

// newDisturbed returns a tenant that a fault is about to hit.
func newDisturbed(t *testing.T, f namedFault, roles []string) (*disturbed, context.Context) {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	d := &disturbed{stop: stop}
	var answered atomic.Int64
	d.virtualTenant = newVirtualTenant(t, simulator.Config{
		Machines: faultMachines, Seed: 1, Latency: 300 * time.Millisecond, SettleAfter: -1, AcceptDuplicates: true,
		Faults: f.sim, Roles: roles,
		Observe: func(r simulator.Request) {
			if r.Endpoint != simulator.Offboard || r.Stage != simulator.Answering {
				return
			}
			if answered.Add(1) == int64(f.nth) && f.then != nil {
				f.then(d)
			}
		},
	})
	d.spoil = func(env *environment, transport *http.Transport) {
		env.opened = d.disk.under
		d.unplug(transport)
	}
	return d, ctx
}

// undergo carries a campaign out under a fault and to its end after it, and
// returns everything that should not be.
func undergo(t *testing.T, f namedFault) (wrong []string) {
	t.Helper()
	d, ctx := newDisturbed(t, f, nil)
	defer d.close()
	defer d.stop(nil)
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if f.begin != nil {
		f.begin(d)
	}
	args := append([]string{"run", d.list, "--comment", "why", "--yes", "--workers", "1"}, f.args...)
	code, stdout, stderr := d.run(ctx, args...)
	if code != f.code {
		complain("exit code %d, want %d: %s%s", code, f.code, stdout, stderr)
	}
	if !strings.Contains(stdout+stderr, f.says) {
		complain("nobody reads %q: %s%s", f.says, stdout, stderr)
	}
	if f.end != nil {
		f.end(d)
	}
	if f.holds != nil {
		wrong = append(wrong, d.differsFrom(f.holds)...)
	}
	again := f.again
	if again == nil {
		again = []string{"resume"}
	}
	if again[0] == "run" {
		again = args
	}
	if code, stdout, stderr := d.run(t.Context(), again...); code != exitOK {
		complain("%s: exit code %d: %s%s", again[0], code, stdout, stderr)
	}
	return append(wrong, d.wrongInTheEnd()...)
}

// wrongInTheEnd compares what the tenant counted with what the journal says: each
// machine is offboarded once, and accepted.
func (d *disturbed) wrongInTheEnd() (wrong []string) {
	d.t.Helper()
	if n, effects := d.sim.Effects(); n != faultMachines || effects != faultMachines {
		wrong = append(wrong, fmt.Sprintf("%d machines offboarded by %d actions, want %d", n, effects, faultMachines))
	}
	wrong = append(wrong, d.sim.Violations()...)
	return append(wrong, d.differsFrom(map[string]int{"accepted": faultMachines})...)
}

// differsFrom compares the journal's states with those wanted; states that are
// not named are to be empty.
func (d *disturbed) differsFrom(want map[string]int) (wrong []string) {
	d.t.Helper()
	code, stdout, stderr := d.run(d.t.Context(), "status", "--output", "json", "--campaign", "machines")
	var r result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
		return []string{fmt.Sprintf("status: exit code %d, %v: %s", code, err, stderr)}
	}
	for state, n := range r.Counts {
		if n != want[state] {
			wrong = append(wrong, fmt.Sprintf("%d machines are %s in the journal, want %d", n, state, want[state]))
		}
	}
	return wrong
}

// TestNamedFaults: for each fault what the operator reads, the exit code, what the
// journal holds, and that by the tenant's count nothing was sent twice or lost
// when the campaign has gone on to its end.
func TestNamedFaults(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.NothingLost, Harness: "named faults, end to end"}
	var mu sync.Mutex
	var faults []namedFault
	for n := range proof.Cases(1, faultMachines-1) {
		faults = append(faults, namedFaults(1+(n+2)%(faultMachines-1))...) // the third machine first
	}
	t.Run("fault", func(t *testing.T) {
		for _, f := range faults {
			t.Run(fmt.Sprintf("%s, %d", f.name, f.nth), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					wrong := undergo(t, f)
					for _, w := range wrong {
						t.Error(w)
					}
					mu.Lock()
					defer mu.Unlock()
					row.Cases++
					row.Faults++
					if len(wrong) > 0 {
						row.Violations++
					}
				})
			})
		}
	})
	for name, control := range map[string]func(*testing.T) []string{"sent twice": journalPutBack, "lost": falseVerdict} {
		t.Run("control "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				row.Controls++
				if wrong := control(t); len(wrong) > 0 {
					row.Caught++
				}
			})
		})
	}
	proof.Report(t, row)
}

// journalPutBack is a control: the journal of before the run is put in its place,
// and the tenant must not be asked. Everything is sent again.
func journalPutBack(t *testing.T) []string {
	t.Helper()
	d, ctx := newDisturbed(t, namedFault{nth: 3, then: func(d *disturbed) { d.stop(interruption{os.Interrupt}) }}, []string{"Machine.Offboard"})
	defer d.close()
	for _, m := range d.sim.Machines() {
		d.sim.Authorise(m.ID, 2) // the tenant itself is not to fail the test
	}
	args := []string{"run", d.list, "--comment", "why", "--yes", "--workers", "1", "--new-journal", "--journal", d.dir + "/journal"}
	if code, _, stderr := d.run(ctx, args...); code != exitInterrupted {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if err := os.Remove(d.dir + "/journal"); err != nil {
		t.Fatal(err)
	}
	d.env["OFFBOARD_JOURNAL"] = d.dir + "/journal"
	if code, _, stderr := d.run(t.Context(), args...); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	return d.wrongInTheEnd()
}

// falseVerdict is a control: somebody says of a machine that nothing arrived for
// that it did.
func falseVerdict(t *testing.T) []string {
	t.Helper()
	d, ctx := newDisturbed(t, namedFault{
		sim: []simulator.Fault{{Kind: simulator.DropBefore, Nth: 3}},
		nth: 3, then: func(d *disturbed) { d.stop(interruption{os.Interrupt}) },
	}, nil)
	defer d.close()
	if code, _, stderr := d.run(ctx, "run", d.list, "--comment", "why", "--yes", "--workers", "1"); code != exitInterrupted {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	third := d.sim.Machines()[2].ID
	for _, args := range [][]string{{"resolve", third, "--applied", "--reason", "a guess"}, {"resume"}} {
		if code, _, stderr := d.run(t.Context(), args...); code != exitOK {
			t.Fatalf("%s: exit code %d: %s", args[0], code, stderr)
		}
	}
	return d.wrongInTheEnd()
}
