//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// slow is one whose calls overlap.
func slow(machines int) simulator.Config {
	c := quick(machines)
	c.Latency = 200 * time.Millisecond
	return c
}

// quick is a tenant that answers at once and has no limits.
func quick(machines int) simulator.Config {
	return simulator.Config{Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, AcceptDuplicates: true}
}

const unlimited = "--per-minute=100000"

// offboardedOnce looks at the tenant's own count.
func (r *realTenant) offboardedOnce(machines int) {
	r.t.Helper()
	if n, effects := r.sim.Effects(); n != machines || effects != machines {
		r.t.Errorf("%d machines by %d actions; want %d by as many", n, effects, machines)
	}
}

// exitOf returns the exit code of a process that has ended by itself.
func exitOf(t *testing.T, err error) exitCode {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit) && exit.Exited():
		return exitCode(exit.ExitCode())
	}
	t.Errorf("it did not end by itself: %v", err)
	return -1
}

// TestBrokenPipe: nobody reads what the run says. Without care Go ends a process
// that writes to a broken standard output or error, in the middle of a campaign.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stdout, stderr bool // are broken
		code           exitCode
	}{
		"stdout": {true, false, exitUnexpected},
		"stderr": {false, true, exitOK},
		"both":   {true, true, exitUnexpected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const machines = 30
			r := newRealTenant(t, quick(machines))
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := read.Close(); err != nil {
				t.Fatal(err)
			}
			defer write.Close()
			var said bytes.Buffer
			cmd := r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", unlimited, "--log-level", "debug")
			cmd.Stdout, cmd.Stderr = &said, &said
			if c.stdout {
				cmd.Stdout = write
			}
			if c.stderr {
				cmd.Stderr = write
			}
			if code := exitOf(t, cmd.Run()); code != c.code {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, &said)
			}
			if c.stdout && !c.stderr && !strings.Contains(said.String(), "write the result") {
				t.Errorf("nobody says that the result was lost\n%s", &said)
			}
			r.offboardedOnce(machines)
			if accepted := r.counts()["accepted"]; accepted != machines {
				t.Errorf("the journal has %d machines as accepted", accepted)
			}
		})
	}
}

// counts are the states of the only campaign's machines, by the journal.
func (r *realTenant) counts() map[string]int {
	r.t.Helper()
	out, err := r.command(r.t.Context(), "status", "--output", "json").Output()
	var status result
	if err != nil || json.Unmarshal(out, &status) != nil {
		r.t.Fatalf("status: %v\n%s", err, out)
	}
	return status.Counts
}

// TestNoHangUp: under nohup a closed terminal stops nothing.
func TestNoHangUp(t *testing.T) {
	t.Parallel()
	const machines = 10
	held := holdingAt(quick(machines), 5)
	r := newRealTenant(t, held.Config)
	cmd := r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", unlimited, "--workers", "1")
	shell := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `trap '' HUP; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)...)
	shell.Env = cmd.Env
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	<-held.reached
	if err := shell.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	close(held.goOn)
	if code := exitOf(t, shell.Wait()); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	r.offboardedOnce(machines)
}

// TestHangUp: without a terminal a hang-up has the log file opened anew, for what
// rotates logs; without a log file it stops the run as SIGTERM does.
func TestHangUp(t *testing.T) {
	t.Parallel()
	t.Run("reopens the log", func(t *testing.T) {
		t.Parallel()
		const machines = 10
		held := holdingAt(quick(machines), 5)
		r := newRealTenant(t, held.Config)
		log := filepath.Join(t.TempDir(), "offboard.log")
		s := r.start("run", r.list, "--comment", "why", "--yes", unlimited, "--workers", "1", "--log-level", "debug", "--log-file", log)
		<-held.reached
		rotate(t, log)
		s.signal(t, syscall.SIGHUP)
		appears(t, log)
		close(held.goOn)
		if code := exitOf(t, <-s.ended); code != exitOK {
			t.Fatalf("exit code %d\n%s", code, &s.stderr)
		}
		r.offboardedOnce(machines)
		before, after := logLines(t, log+".1"), logLines(t, log)
		accepted := `"state":"accepted"`
		if a, b := strings.Count(before, accepted), strings.Count(after, accepted); a != 4 || b != machines-4 {
			t.Errorf("%d outcomes are in the old log and %d in the new one\n%s\n%s", a, b, before, after)
		}
		if s.stderr.Len() > 0 {
			t.Errorf("beside the log file: %s", &s.stderr)
		}
	})
	t.Run("stops", func(t *testing.T) {
		t.Parallel()
		r, seen := tenantSeen(t, quick(12), 5)
		s := r.start("run", r.list, "--comment", "why", "--yes", tenAMinute)
		<-seen
		s.signal(t, syscall.SIGHUP)
		if code := exitOf(t, <-s.ended); code != exitTerminated || !strings.Contains(s.stderr.String(), "hangup") {
			t.Fatalf("exit code %d\n%s", code, &s.stderr)
		}
		resumeLine(t, s.stderr.String())
		r.stoppedInOrder(12)
	})
}

// tenAMinute keeps a run of more than ten machines waiting for long enough to be
// disturbed, however slow the host.
const tenAMinute = "--per-minute=10"

// stoppedInOrder looks at what an orderly stop left, and resumes it.
func (r *realTenant) stoppedInOrder(machines int) {
	r.t.Helper()
	if counts := r.counts(); counts["in_doubt"]+counts["sending"] > 0 || counts["planned"] == 0 {
		r.t.Errorf("after the stop: %v", counts)
	}
	if code, stderr := r.run(r.t.Context(), "resume", unlimited); code != 0 {
		r.t.Errorf("resume: exit code %d\n%s", code, stderr)
	}
	r.offboardedOnce(machines)
}

// holding is a tenant that keeps an answer back.
type holding struct {
	simulator.Config
	reached chan struct{} // closed when the answer is ready
	goOn    chan struct{} // to be closed
}

func holdingAt(c simulator.Config, nth int64) holding {
	h := holding{reached: make(chan struct{}), goOn: make(chan struct{})}
	var count atomic.Int64
	c.Observe = func(q simulator.Request) {
		if q.Endpoint == simulator.Offboard && q.Stage == simulator.Answering && count.Add(1) == nth {
			close(h.reached)
			<-h.goOn
		}
	}
	h.Config = c
	return h
}

// appears waits for a file.
func appears(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s does not appear", path)
		}
	}
}

func rotate(t *testing.T, log string) {
	t.Helper()
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
}

// logLines returns what a log file holds, which is private and all JSON.
func logLines(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", path, info.Mode(), err)
	}
	for line := range bytes.Lines(text) {
		if !json.Valid(line) {
			t.Errorf("%s: %s", path, line)
		}
	}
	return string(text)
}

// TestFewFileDescriptors: with room for hardly a connection, then none, the run
// waits and gives up in order, or cannot begin; once there is room it goes on.
func TestFewFileDescriptors(t *testing.T) {
	t.Parallel()
	const machines = 20
	r := newRealTenant(t, slow(machines))
	for _, limit := range []int{11, 14, 17, 20, 23} {
		cmd := r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", unlimited, "--workers", "8", "--retry-for", "1s", "--settle-wait", "30s")
		script := fmt.Sprintf(`ulimit -n %d && exec "$@"`, limit)
		shell := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh", cmd.Path}, cmd.Args[1:]...)...)
		shell.Env = cmd.Env
		var said bytes.Buffer
		shell.Stdout, shell.Stderr = &said, &said
		code := exitOf(t, shell.Run())
		t.Logf("%d file descriptors: exit code %d", limit, code)
		if code != exitOK && !strings.Contains(said.String(), "too many open files") {
			t.Errorf("%d file descriptors: exit code %d\n%s", limit, code, &said)
		}
	}
	if code, stderr := r.run(t.Context(), "run", r.list, "--comment", "why", "--yes", unlimited, "--settle-wait", "30s"); code != 0 {
		t.Errorf("with room again: exit code %d\n%s", code, stderr)
	}
	r.offboardedOnce(machines)
}

// TestSuspended: the process stands still while a request is under way, for longer
// than the request may take, and goes on.
func TestSuspended(t *testing.T) {
	t.Parallel()
	const machines = 10
	held := holdingAt(quick(machines), 5)
	r := newRealTenant(t, held.Config)
	s := r.start("run", r.list, "--comment", "why", "--yes", unlimited, "--timeout", "5s", "--settle-wait", "30s", "--workers", "2")
	<-held.reached
	s.signal(t, syscall.SIGSTOP)
	<-time.After(6 * time.Second)
	s.signal(t, syscall.SIGCONT)
	close(held.goOn)
	if code := exitOf(t, <-s.ended); code != exitOK {
		t.Errorf("exit code %d\n%s", code, &s.stderr)
	}
	r.offboardedOnce(machines)
	if counts := r.counts(); counts["accepted"] != machines {
		t.Errorf("the journal has %v", counts)
	}
}
