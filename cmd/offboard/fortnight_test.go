package main

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
	"offboard/runner"
)

const day = 24 * time.Hour

// fate is what becomes of some of the machines. Every time is since the campaign
// began.
type fate struct {
	name     string
	machines int
	offline  bool // at first
	failing  bool
	// happens is what happens to a machine, and when; nil: nothing does.
	happens func(v *virtualTenant, m simulator.Machine)
	at      time.Duration
	stays   bool // it goes on reporting, whatever it has done

	state func(since time.Duration) string
	found func(days int) runner.Finding
}

const (
	acts  = time.Hour       // a device that is on
	gives = 10 * day        // the service up
	noon  = 2 * time.Hour   // what happens on a day
	soon  = 3 * time.Minute // all are sent by then
)

// once is a state that is left at a time.
func once(at time.Duration, state string) func(time.Duration) string {
	return func(since time.Duration) string {
		if since < at+soon {
			return "accepted"
		}
		return state
	}
}

// turns is what verify finds from each day on. Before the first it is too early.
func turns(silent int, then int, finding runner.Finding) func(int) runner.Finding {
	return func(days int) runner.Finding {
		switch {
		case days >= then:
			return finding
		case days >= silent:
			return runner.Silent
		}
		return runner.TooEarly
	}
}

const never = 1000

func wake(v *virtualTenant, m simulator.Machine) { v.sim.Wake(m.ID) }

func fates() []fate {
	all := []fate{
		{name: "on", machines: 150, state: once(acts, "succeeded"), found: turns(3, never, "")},
		{name: "failing", machines: 10, failing: true, state: once(acts, "failed"), found: turns(never, 1, runner.Reporting)},
		{name: "off for good", machines: 20, offline: true, state: once(gives, "timed_out"), found: turns(2, never, "")},
		{
			name: "back too late", machines: 8, offline: true, happens: wake, at: 11*day + noon,
			state: once(gives, "timed_out"), found: turns(2, 12, runner.Reporting),
		},
		{
			name: "called back in the portal", machines: 3, offline: true, at: 2*day + noon,
			happens: func(v *virtualTenant, m simulator.Machine) {
				v.sim.Cancel(v.sim.Truth().Machines[m.ID].ActionIDs[0], "keep it")
				v.sim.Wake(m.ID)
			},
			state: once(2*day+noon, "cancelled"), found: turns(2, 3, runner.Reporting),
		},
		{
			name: "set up anew", machines: 7, at: 5*day + noon,
			happens: func(v *virtualTenant, m simulator.Machine) {
				v.sim.AddMachine(simulator.Machine{ID: "f" + m.ID[1:], ComputerDNSName: m.ComputerDNSName, AADDeviceID: m.AADDeviceID})
			},
			state: once(acts, "succeeded"), found: turns(3, 6, runner.Returned),
		},
		{name: "reporting all the same", machines: 5, stays: true, state: once(acts, "succeeded"), found: turns(never, 2, runner.Reporting)},
		{
			name: "deleted", machines: 3, at: 6*day + noon,
			happens: func(v *virtualTenant, m simulator.Machine) { v.sim.RemoveMachine(m.ID) },
			state:   once(acts, "succeeded"), found: turns(3, 7, runner.Gone),
		},
	}
	for d := 1; d <= 9; d++ {
		back := time.Duration(d)*day + noon
		all = append(all, fate{
			name: "back in time", machines: 5, offline: true, happens: wake, at: back,
			state: once(back+acts, "succeeded"), found: backOn(d),
		})
	}
	return all
}

// backOn is found of a device that acts on a day: silence begins anew then.
func backOn(d int) func(int) runner.Finding {
	return func(days int) runner.Finding {
		if days >= 2 && days <= d || days >= d+3 {
			return runner.Silent
		}
		return runner.TooEarly
	}
}

// fortnight is a campaign and what becomes of each of its machines.
type fortnight struct {
	*virtualTenant
	began time.Time
	fates []*fate // by the machine's place on the list
	ids   []string
	stay  map[string]bool
}

func newFortnight(t *testing.T) *fortnight {
	t.Helper()
	f := &fortnight{stay: map[string]bool{}}
	for _, one := range fates() {
		for range one.machines {
			f.fates = append(f.fates, &one)
		}
	}
	f.virtualTenant = newVirtualTenant(t, simulator.Config{
		Machines: len(f.fates), Seed: 1, Latency: 300 * time.Millisecond, SettleAfter: acts, TimeOutAfter: gives,
	})
	f.env["OFFBOARD_TOKEN"] = f.sim.IssueToken(simulator.TokenOptions{Life: 30 * day})
	for i, m := range f.sim.Machines() {
		m.Offline, m.Failing = f.fates[i].offline, f.fates[i].failing
		f.sim.AddMachine(m)
		f.ids, f.stay[m.ID] = append(f.ids, m.ID), f.fates[i].stays
	}
	f.began = time.Now()
	return f
}

// live lets happen what does between two moments, and the devices report at the end.
func (f *fortnight) live(from, to time.Duration) {
	machines := map[string]simulator.Machine{}
	for _, m := range f.sim.Machines() {
		machines[m.ID] = m
	}
	for i, id := range f.ids {
		if one := f.fates[i]; one.happens != nil && one.at > from && one.at <= to {
			<-time.After(time.Until(f.began.Add(one.at)))
			one.happens(f.virtualTenant, machines[id])
		}
	}
	<-time.After(time.Until(f.began.Add(to)))
	f.report(f.stay)
}

// report has every device that is on and was not offboarded be seen, and those that
// stay whatever they have done.
func (v *virtualTenant) report(stays map[string]bool) {
	truth := v.sim.Truth().Machines
	for _, m := range v.sim.Machines() {
		if !m.Offline && (!truth[m.ID].Done || stays[m.ID]) {
			m.LastSeen = time.Now()
			v.sim.AddMachine(m)
		}
	}
}

// calls is what the service has counted but for what is sent.
func (f *fortnight) calls() (n int) {
	for class, c := range f.sim.Truth().Calls {
		if class != simulator.ClassOffboard {
			n += c.Arrived
		}
	}
	return n
}

// look is a follow from cron, held against what has to be so by then.
func (f *fortnight) look(since time.Duration) {
	f.t.Helper()
	before := f.calls()
	code, stdout, stderr := f.run(f.t.Context(), "follow", "--campaign", "machines", "--for", "0", "--output", "json")
	var r result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		f.t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	want, waiting := map[string]int{}, 0
	for _, one := range f.fates {
		want[one.state(since)]++
	}
	for state, n := range r.Counts {
		if n != want[state] {
			f.t.Errorf("%s: %d machines are %s; want %d", since, n, state, want[state])
		}
	}
	if r.Waiting != nil {
		waiting = r.Waiting.Awake + r.Waiting.Silent
	}
	if waiting != want["accepted"] {
		f.t.Errorf("%s: %d machines are waited for: %+v; want %d", since, waiting, r.Waiting, want["accepted"])
	}
	expected := exitBudget
	if waiting == 0 {
		expected = exitRejected
	}
	if calls := f.calls() - before; code != expected || calls > 3 {
		f.t.Errorf("%s: exit code %d after %d calls; want %d after at most 3: %s", since, code, calls, expected, stderr)
	}
}

// verify holds what is found of each machine against what became of it.
func (f *fortnight) verify(days int) {
	f.t.Helper()
	before := f.calls()
	code, stdout, stderr := f.run(f.t.Context(), "verify", "--campaign", "machines", "--output", "json")
	var v verification
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		f.t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if len(v.Machines) != len(f.ids) {
		f.t.Fatalf("day %d: %d machines", days, len(v.Machines))
	}
	want, truth := exitOK, f.sim.Truth().Machines
	for i, m := range v.Machines {
		one := f.fates[i]
		state, found := one.state(time.Duration(days)*day+visit), one.found(days)
		if m.MachineID != f.ids[i] || m.State.String() != state || m.Finding != found {
			f.t.Errorf("day %d: a device that is %s: %s, %s; want %s, %s", days, one.name, m.State, m.Finding, state, found)
		}
		if done := truth[m.MachineID].Done; done != (state == "succeeded") {
			f.t.Errorf("day %d: a device that is %s: %s, and it is %t that it has done it", days, one.name, state, done)
		}
		if found == runner.Returned && m.NewID != "f"+m.MachineID[1:] {
			f.t.Errorf("day %d: %s is back as %q", days, m.MachineID, m.NewID)
		}
		want = graver(want, codeOfFinding(state, found))
	}
	if calls := f.calls() - before; code != want || calls > 3 {
		f.t.Errorf("day %d: exit code %d after %d calls; want %d: %s", days, code, calls, want, stderr)
	}
}

func codeOfFinding(state string, found runner.Finding) exitCode {
	right := []runner.Finding{runner.Silent, runner.Gone}
	if state == "cancelled" {
		right = []runner.Finding{runner.Reporting}
	}
	switch {
	case found == runner.TooEarly:
		return exitBudget
	case slices.Contains(right, found):
		return exitOK
	}
	return exitRejected
}

// visit is when cron looks, after each six hours.
const visit = 30 * time.Minute

// TestFortnight follows a campaign from cron and verifies it daily, for fifteen
// days in which devices come back in time, too late, anew or never. At each look
// every machine is what it is by the tenant's own account.
func TestFortnight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFortnight(t)
		defer f.close()
		if code, _, stderr := f.run(t.Context(), "run", f.list, "--comment", "why", "--yes", "--include-servers"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		last := time.Duration(0)
		for look := range 15*4 + 1 {
			now := time.Duration(look)*6*time.Hour + visit
			f.live(last, now)
			f.look(now)
			if look > 0 && look%4 == 0 {
				f.verify(look / 4)
			}
			last = now
		}
		f.checkWindow(len(f.ids))
	})
}
