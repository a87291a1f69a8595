package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
)

// TestPlanOfAFleet: what a plan of 25,000 machines asks the tenant, and how long it
// says that it will take. In make test it is a small fleet: the records of a large
// one take the race detector most of a minute.
func TestPlanOfAFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		machines, pages := 2500, 1
		if proof.Torture() {
			machines, pages = 25_000, 3
		}
		v := newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1})
		defer v.close()
		path := filepath.Join(v.dir, "plan.json")
		code, stdout, stderr := v.run(t.Context(), "plan", v.list, "--comment", "why", "--include-servers", "-o", path, "--log-level", "warn")
		if code != exitOK || !strings.Contains(stdout, fmt.Sprintf("%[1]s to be sent, 100.0%% of the %[1]s onboarded", grouped(machines))) {
			t.Fatalf("plan: %d: %s%s", code, stdout, stderr)
		}
		truth := v.sim.Truth()
		if n, acts := truth.Calls[simulator.ClassMachines].Arrived, truth.Calls[simulator.ClassActions].Arrived; n != pages || acts != 1 {
			t.Errorf("%d calls for the inventory and %d for the actions; want %d and 1", n, acts, pages)
		}
		if n := truth.Calls[simulator.ClassOffboard].Arrived; n != 0 {
			t.Errorf("%d offboard calls", n)
		}
		k, _, err := readPlan(path)
		if err != nil || len(k.Machines) != machines {
			t.Errorf("%d machines, %v", len(k.Machines), err)
		}
		want := time.Now().UTC().Add(earliest(machines)).Format("2006-01-02T15:04")
		if !strings.Contains(unbroken(stdout), grouped(machines)+"; from 2000-01-01T00:00:00Z to "+want) {
			t.Errorf("the last call is not said to go at %s: %s", want, stdout)
		}
	})
}

// unbroken is a page as one line.
func unbroken(page string) string { return strings.Join(strings.Fields(page), " ") }

// journalDrifts are what another campaign has made of a machine meanwhile: the
// faults of its request, and how it ends.
var journalDrifts = map[string]struct {
	sim    simulator.Config
	first  func(v *virtualTenant, machine string, args ...string) // the other campaign, with these arguments
	reason string
}{
	"accepted": {reason: "accepted meanwhile, by campaign first"},
	"rejected": {reason: "rejected meanwhile, by campaign first", first: func(v *virtualTenant, machine string, args ...string) {
		m := v.machine(machine)
		refused := m
		refused.Refuse = "BadRequest"
		v.sim.AddMachine(refused)
		v.run(v.t.Context(), args...)
		v.sim.AddMachine(m)
	}},
	"in doubt": {
		reason: "in_doubt meanwhile, by campaign first",
		sim:    simulator.Config{Faults: []simulator.Fault{{Kind: simulator.DropBefore, Nth: 1, Endpoint: simulator.Offboard}}},
		first: func(v *virtualTenant, _ string, args ...string) {
			v.run(v.t.Context(), append(args, "--max-duration", "10s")...)
		},
	},
	"succeeded": {reason: "succeeded meanwhile, by campaign first", first: func(v *virtualTenant, _ string, args ...string) {
		v.run(v.t.Context(), append(args, "--wait")...)
	}},
	"cancelled": {
		reason: "cancelled meanwhile, by campaign first", sim: simulator.Config{SettleAfter: -1},
		first: func(v *virtualTenant, _ string, args ...string) {
			v.run(v.t.Context(), args...)
			v.run(v.t.Context(), "cancel", "--campaign", "first", "--reason", "no", "--yes")
		},
	},
}

func (v *virtualTenant) machine(id string) simulator.Machine {
	for _, m := range v.sim.Machines() {
		if m.ID == id {
			return m
		}
	}
	v.t.Fatalf("no machine %s", id)
	return simulator.Machine{}
}

// TestPlanDriftsByTheJournal: what another campaign has done with a machine since the
// plan was made is refused, or the machine alone is left out; and a plan that was
// made afterwards knows of it.
func TestPlanDriftsByTheJournal(t *testing.T) {
	t.Parallel()
	for name, c := range journalDrifts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c.sim.Machines, c.sim.Seed = 3, 1
				v := newVirtualTenant(t, c.sim)
				defer v.close()
				drifted := v.sim.Machines()[0].ID
				path := filepath.Join(v.dir, "plan.json")
				v.ends(exitOK, "plan", v.list, "--comment", "why", "--include-servers", "-o", path)
				<-time.After(time.Minute)
				first := c.first
				if first == nil {
					first = func(v *virtualTenant, _ string, args ...string) { v.run(v.t.Context(), args...) }
				}
				first(v, drifted, "run", v.listOf("first.txt", drifted), "--campaign", "first", "--comment", "why", "--include-servers", "--yes")
				before := v.sim.Truth().Machines[drifted].Requests

				stderr := v.ends(exitGuard, "run", "--plan", path, "--yes")
				if !strings.Contains(stderr, c.reason) || !strings.Contains(stderr, "1 machine of the plan changed") {
					t.Errorf("refused for another reason: %s", stderr)
				}
				v.ends(exitOK, "run", "--plan", path, "--yes", "--on-drift", "leave-out")
				truth := v.sim.Truth()
				if n := truth.Machines[drifted].Requests; n != before {
					t.Errorf("%d requests for the machine that was to be left out", n-before)
				}
				if n := truth.Calls[simulator.ClassOffboard].Arrived - before; n != 2 {
					t.Errorf("%d requests for the other two", n)
				}
			})
		})
	}
}

// ends runs a command and returns what it writes to stderr.
func (v *virtualTenant) ends(want exitCode, args ...string) string {
	v.t.Helper()
	code, stdout, stderr := v.run(v.t.Context(), args...)
	if code != want {
		v.t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, want, stdout, stderr)
	}
	return stderr
}

// listOf writes a list of these machines.
func (v *virtualTenant) listOf(name string, ids ...string) string {
	v.t.Helper()
	path := filepath.Join(v.dir, name)
	if err := replaceFile(path, []byte(strings.Join(ids, "\n")+"\n")); err != nil {
		v.t.Fatal(err)
	}
	return path
}

// TestPlanKnowsWhatEnded: a machine that ended in another campaign before the plan
// was made is on its page, and has not drifted.
func TestPlanKnowsWhatEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 2, Seed: 1, SettleAfter: -1})
		defer v.close()
		ended := v.sim.Machines()[0].ID
		v.sim.Authorise(ended, 2)
		v.ends(exitOK, "run", v.listOf("first.txt", ended), "--campaign", "first", "--comment", "why", "--include-servers", "--yes")
		v.ends(exitOK, "cancel", "--campaign", "first", "--reason", "no", "--yes")
		path := filepath.Join(v.dir, "plan.json")
		plan := []string{"plan", v.list, "--comment", "why", "--include-servers", "-o", path, "--verbose"}
		code, page, stderr := v.run(t.Context(), plan...)
		if code != exitOK || !strings.Contains(unbroken(page), "Ended before 1 machine was asked for in another campaign") || !strings.Contains(unbroken(page), "cancelled first since 2000-01-01T00:0") {
			t.Errorf("%d: %s%s", code, page, stderr)
		}
		code, stdout, _ := v.run(t.Context(), append(plan, "--output", "json")...)
		var r planReport
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK || r.EndedBefore != 1 || r.Plan.Machines[0].Offboarding.State != "cancelled" {
			t.Errorf("%d: %v: %s", code, err, stdout)
		}
		v.ends(exitOK, "run", "--plan", path, "--yes")
		v.ends(exitOK, "run", "--plan", path) // there is nothing to confirm
		if n := v.sim.Truth().Machines[ended].Effects; n != 2 {
			t.Errorf("%d effects", n)
		}
	})
}
