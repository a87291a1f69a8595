package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/door"
	"offboard/internal/simulator"
)

// memoryDoors are doors inside a bubble.
type memoryDoors struct {
	mu   sync.Mutex
	open map[string]*memoryDoor // by journal
}

type memoryDoor struct {
	doors   *memoryDoors
	journal string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (m *memoryDoors) Listen(journal string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &memoryDoor{doors: m, journal: journal, conns: make(chan net.Conn), closed: make(chan struct{})}
	m.open[journal] = d
	return d, nil
}

func (m *memoryDoors) Dial(_ context.Context, journal string) (net.Conn, error) {
	m.mu.Lock()
	d := m.open[journal]
	m.mu.Unlock()
	if d == nil {
		return nil, door.ErrNobody
	}
	ours, theirs := net.Pipe()
	select {
	case d.conns <- theirs:
		return ours, nil
	case <-d.closed:
		return nil, door.ErrNobody
	}
}

func (d *memoryDoor) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d *memoryDoor) Close() error {
	d.once.Do(func() {
		d.doors.mu.Lock()
		defer d.doors.mu.Unlock()
		delete(d.doors.open, d.journal)
		close(d.closed)
	})
	return nil
}

func (d *memoryDoor) Addr() net.Addr { return nil }

// withDoors gives a virtual tenant's commands doors to meet at.
func withDoors(v *virtualTenant) *virtualTenant {
	doors := &memoryDoors{open: map[string]*memoryDoor{}}
	v.spoil = func(e *environment, _ *http.Transport) { e.doors = doors }
	return v
}

type finished struct {
	code           exitCode
	stdout, stderr string
}

// begin runs a command beside the test.
func (v *virtualTenant) begin(args ...string) <-chan finished {
	done := make(chan finished, 1)
	go func() {
		var e finished
		e.code, e.stdout, e.stderr = v.run(v.t.Context(), args...)
		done <- e
	}()
	return done
}

// TestPause: by the tenant's own count nothing is sent for the hours that a run is
// paused, and all of it after that. Whoever watches is told a line a change and how
// it ended.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const machines = 300
		v := withDoors(newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond}))
		defer v.close()
		run := v.begin("run", v.list, "--comment", "why", "--yes")
		<-time.After(90 * time.Second)
		watch := v.begin("status", "--watch", "--interval", "10s")
		if code, _, stderr := v.run(t.Context(), "pause"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		<-time.After(5 * time.Second) // what is in flight
		before := v.sim.Truth().Calls[simulator.ClassOffboard].Arrived
		<-time.After(3 * time.Hour)
		if n := v.sim.Truth().Calls[simulator.ClassOffboard].Arrived; n != before || n == 0 || n >= machines {
			t.Errorf("%d calls when it was paused, %d three hours later", before, n)
		}
		if code, _, stderr := v.run(t.Context(), "unpause"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if e := <-run; e.code != exitOK {
			t.Errorf("exit code %d: %s", e.code, e.stderr)
		}
		e := <-watch
		if lines := strings.Count(e.stdout, "\n"); e.code != exitOK || lines > 40 || !strings.Contains(e.stdout, "Held by ") ||
			!strings.Contains(e.stdout, "300 accepted") || strings.Contains(e.stdout, "\x1b") {
			t.Errorf("exit code %d after %d lines: %s%s", e.code, lines, e.stdout, e.stderr)
		}
		v.checkWindow(machines)
	})
}

// TestStopRunning: it returns when the journal is free, and at once without a run.
// A run that is paused can be stopped.
func TestStopRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := withDoors(newVirtualTenant(t, simulator.Config{Machines: 250, Seed: 1, Latency: 300 * time.Millisecond}))
		defer v.close()
		run := v.begin("run", v.list, "--comment", "why", "--yes")
		<-time.After(30 * time.Second)
		for _, command := range [][]string{{"pause"}, {"stop", "--wait"}, {"stop", "--wait"}} {
			if code, _, stderr := v.run(t.Context(), command...); code != exitOK {
				t.Fatalf("%q: exit code %d: %s", command, code, stderr)
			}
		}
		select {
		case e := <-run:
			if e.code != exitTerminated || !strings.Contains(e.stderr, "stopped by 'offboard stop'") {
				t.Errorf("exit code %d: %s", e.code, e.stderr)
			}
		case <-time.After(time.Second):
			t.Error("the run goes on")
		}
		if code, _, stderr := v.run(t.Context(), "resume"); code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		v.checkWindow(250)
	})
}

// TestAbortStopsTheRun: abort needs no other command to end the run first, and
// leaves another campaign's alone.
func TestAbortStopsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := withDoors(newVirtualTenant(t, simulator.Config{Machines: 250, Seed: 1, Latency: 300 * time.Millisecond, SettleAfter: 24 * time.Hour}))
		defer v.close()
		run := v.begin("run", v.list, "--campaign", "one", "--comment", "why", "--yes")
		<-time.After(30 * time.Second)
		for want, args := range map[exitCode][]string{exitLocked: {"--campaign", "other", "--yes"}, exitUsage: {}} {
			code, _, stderr := v.run(t.Context(), append([]string{"abort", "--reason", "wrong list"}, args...)...)
			if code != want || !strings.Contains(stderr, map[exitCode]string{exitLocked: "under way", exitUsage: "--yes"}[want]) {
				t.Errorf("%q: exit code %d: %s", args, code, stderr)
			}
		}
		if code, stdout, stderr := v.run(t.Context(), "campaigns", "--output", "json"); code != exitOK || !strings.Contains(stdout, `"campaign":"one"`) || !strings.Contains(stdout, `"open":true`) {
			t.Errorf("campaigns: exit code %d: %s%s", code, stdout, stderr)
		}
		if code, stdout, stderr := v.run(t.Context(), "campaigns", "--ticket", "CHG-1"); code != exitOK || stdout != "No campaigns.\n" {
			t.Errorf("campaigns: exit code %d: %s%s", code, stdout, stderr)
		}
		if code, _, stderr := v.run(t.Context(), "abort", "--reason", "wrong list", "--yes"); code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		if e := <-run; e.code != exitTerminated {
			t.Errorf("the run: exit code %d: %s", e.code, e.stderr)
		}
		sent := 0
		for _, m := range v.sim.Truth().Machines {
			sent += len(m.Cancelled)
		}
		if sent == 0 || sent == 250 {
			t.Errorf("%d actions were cancelled", sent)
		}
		if code, _, stderr := v.run(t.Context(), "resume", "--campaign", "one"); code != exitGuard {
			t.Errorf("resume: exit code %d: %s", code, stderr)
		}
	})
}

// TestWatchOnATerminal draws in place, unless the terminal cannot or nobody wants
// it to.
func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{"": {}, "dumb": {"TERM": "dumb"}, "plain": {"NO_COLOR": "1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := withDoors(newVirtualTenant(t, simulator.Config{Machines: 150, Seed: 1, Latency: 300 * time.Millisecond}))
				defer v.close()
				for name, value := range env {
					v.env[name] = value
				}
				doors := v.spoil
				v.spoil = func(e *environment, transport *http.Transport) {
					doors(e, transport)
					e.display = true
				}
				run := v.begin("run", v.list, "--comment", "why", "--yes")
				<-time.After(30 * time.Second)
				code, stdout, stderr := v.run(t.Context(), "status", "--watch")
				if drawn := strings.Contains(stdout, clearScreen+toTop+clearBelow+"Running since "); code != exitOK || drawn != (name == "") {
					t.Errorf("exit code %d: %q%s", code, stdout, stderr)
				}
				<-run
			})
		})
	}
}
