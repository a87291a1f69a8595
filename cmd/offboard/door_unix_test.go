//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// output runs the binary to its end, with its exit code and all that it wrote.
func (r *realTenant) output(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	cmd := r.command(r.t.Context(), args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// status asks the run of a journal.
func (r *realTenant) status(path string) result {
	r.t.Helper()
	code, stdout, stderr := r.output("status", "--journal", path, "--output", "json")
	var s result
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != 0 {
		r.t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	return s
}

// answers waits for a run to open its door.
func (r *realTenant) answers(s *started, path string) {
	r.t.Helper()
	for {
		code, stdout, stderr := r.output("status", "--journal", path, "--output", "json")
		switch {
		case code != 0 && code != int(exitLocked):
			r.t.Fatalf("exit code %d: %s", code, stderr)
		case strings.Contains(stdout, `"running":{`):
			return
		}
		select {
		case err := <-s.ended:
			r.t.Fatalf("it ended before it was asked: %v\n%s", err, &s.stderr)
		default:
		}
	}
}

// TestDoor speaks to a run in all ways: it is asked and watched, paused, unpaused
// and stopped, finds a second one with its own journal beside it, and is resumed.
func TestDoor(t *testing.T) {
	t.Parallel()
	const machines = 600
	r, seen := tenantSeen(t, simulator.Config{Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, Latency: 300 * time.Millisecond}, 5)
	dir := t.TempDir()
	path, link, other := filepath.Join(dir, "j"), filepath.Join(dir, "link"), filepath.Join(dir, "other")
	s := r.start("run", r.list, "--comment", "why", "--yes", "--campaign", "c", "--per-minute=1000", "--workers=2", "--journal", path)
	<-seen
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	now := r.status(link)
	if now.Running == nil || now.Running.PID != s.Process.Pid || now.Running.Campaign != "c" || len(now.Running.Quotas) != 2 ||
		now.Running.EndsAt == nil || now.Calls.Sent == 0 || now.ExitCode != nil || counted(now.Counts).Total() != machines {
		t.Fatalf("%+v, %+v", now, now.Running)
	}
	if code, _, stderr := r.output("status", "--journal", path, "--campaign", "nobody"); code != int(exitUsage) || !strings.Contains(stderr, "no such campaign") {
		t.Errorf("another campaign: exit code %d: %s", code, stderr)
	}
	watch := r.command(t.Context(), "status", "--journal", path, "--watch", "--interval", "200ms", "--output", "json")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	watched := bufio.NewScanner(out)
	if !watched.Scan() || !strings.Contains(watched.Text(), `"running":{`) {
		t.Errorf("watched: %s", watched.Text())
	}

	for range 2 {
		if code, stdout, stderr := r.output("pause", "--journal", path); code != 0 || !strings.Contains(stdout, "paused") {
			t.Fatalf("pause: exit code %d: %s%s", code, stdout, stderr)
		}
	}
	if held := r.status(path).Running; held.Held == nil || held.Held.By == "" || held.EndsAt != nil {
		t.Errorf("%+v", held)
	}
	if _, stdout, _ := r.output("status", "--journal", path); !strings.Contains(stdout, "held since") || strings.Contains(stdout, "Next:") {
		t.Errorf("%s", stdout)
	}
	// Beside it, another run has a door of its own.
	list := filepath.Join(dir, "one.txt")
	if err := os.WriteFile(list, []byte(r.sim.Machines()[machines-1].ID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := r.output("run", list, "--comment", "why", "--yes", "--per-minute=1000", "--journal", other); code != 0 {
		t.Errorf("beside it: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := r.output("unpause", "--journal", path); code != 0 {
		t.Fatalf("unpause: exit code %d: %s", code, stderr)
	}
	if running := r.status(path).Running; running == nil || running.Held != nil {
		t.Errorf("%+v", running)
	}

	if code, stdout, stderr := r.output("stop", "--wait", "--journal", path); code != 0 || !strings.Contains(stdout, "No run holds") {
		t.Fatalf("stop: exit code %d: %s%s", code, stdout, stderr)
	}
	var exit *exec.ExitError
	if err := <-s.ended; !errors.As(err, &exit) || exit.ExitCode() != int(exitTerminated) || !strings.Contains(s.stderr.String(), "stopped by 'offboard stop', asked for by ") {
		t.Errorf("%v\n%s", err, &s.stderr)
	}
	last := ""
	for watched.Scan() {
		last = watched.Text()
	}
	if err := watch.Wait(); err != nil || strings.Contains(last, `"running"`) || !strings.Contains(last, `"exit_code":143`) {
		t.Errorf("the last that was watched: %v: %s", err, last)
	}
	if n, effects := r.sim.Effects(); n == machines || effects != n {
		t.Errorf("%d machines by %d actions", n, effects)
	}
}

// TestDoorOfTheDead: the socket that a kill leaves says nothing, and is in nobody's
// way. A run whose door is battered sends every machine once.
func TestDoorOfTheDead(t *testing.T) {
	t.Parallel()
	const machines = 40
	var asked atomic.Int64
	seen, battered := make(chan struct{}), make(chan struct{})
	r := newRealTenant(t, simulator.Config{
		Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, Latency: 200 * time.Millisecond,
		Observe: func(r simulator.Request) {
			if r.Endpoint != simulator.Offboard || r.Stage != simulator.Answering {
				return
			}
			if n := asked.Add(1); n == 5 {
				close(seen)
			} else if n > 10 {
				<-battered // so that it cannot end before
			}
		},
	})
	path := filepath.Join(t.TempDir(), "j")
	s := r.start("run", r.list, "--comment", "why", "--yes", "--journal", path, "--workers=2")
	<-seen
	if r.status(path).Running == nil {
		t.Error("it does not say that it runs")
	}
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if dead := r.status(path); dead.Running != nil || dead.ExitCode != nil {
		t.Errorf("%+v", dead)
	}
	s = r.start("resume", "--journal", path, "--workers=2", "--settle-wait=2s")
	r.answers(s, path)
	batter(t, s.Env, path)
	close(battered)
	if err := <-s.ended; err != nil {
		t.Errorf("%v\n%s", err, &s.stderr)
	}
	if n, effects := r.sim.Effects(); n != machines || effects != machines {
		t.Errorf("%d machines by %d actions", n, effects)
	}
}

// batter leaves connections at a run's door that say nothing, or nonsense.
func batter(t *testing.T, env []string, path string) {
	t.Helper()
	place := ownDoors(func(name string) (value string) {
		for _, setting := range env {
			if v, ok := strings.CutPrefix(setting, name+"="); ok {
				value = v
			}
		}
		return value
	})
	for i := range 40 {
		c, err := place.Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go func(c net.Conn) {
			_, _ = io.WriteString(c, []string{"", "\x00\xff\r\n\r\n", strings.Repeat("POST ", 1<<16)}[i%3])
		}(c)
	}
}

// TestFollowIsAskedToo: a run that follows answers and stops, and is not paused.
func TestFollowIsAskedToo(t *testing.T) {
	t.Parallel()
	r := newRealTenant(t, simulator.Config{Machines: 3, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: time.Hour})
	path := filepath.Join(t.TempDir(), "j")
	if code, _, stderr := r.output("run", r.list, "--comment", "why", "--yes", "--journal", path); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	s := r.start("follow", "--journal", path)
	r.answers(s, path)
	if code, _, stderr := r.output("pause", "--journal", path); code != int(exitUsage) || !strings.Contains(stderr, "nothing to pause") {
		t.Errorf("pause: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := r.output("stop", "--journal", path); code != 0 {
		t.Errorf("stop: exit code %d: %s", code, stderr)
	}
	var exit *exec.ExitError
	if err := <-s.ended; !errors.As(err, &exit) || exit.ExitCode() != int(exitTerminated) {
		t.Errorf("%v\n%s", err, &s.stderr)
	}
}
