//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// tenantSeen returns a tenant and a channel that is closed when it has begun to
// answer the nth offboard request.
func tenantSeen(t *testing.T, c simulator.Config, nth int64) (*realTenant, <-chan struct{}) {
	t.Helper()
	seen, count := make(chan struct{}), atomic.Int64{}
	c.Observe = func(r simulator.Request) {
		if r.Endpoint == simulator.Offboard && r.Stage == simulator.Answering && count.Add(1) == nth {
			close(seen)
		}
	}
	return newRealTenant(t, c), seen
}

// started is the binary at work.
type started struct {
	*exec.Cmd
	stderr bytes.Buffer
	ended  chan error
}

func (r *realTenant) start(args ...string) *started {
	r.t.Helper()
	return r.begin(r.command(r.t.Context(), args...))
}

// begin starts a command, with some more in its environment.
func (r *realTenant) begin(cmd *exec.Cmd, env ...string) *started {
	r.t.Helper()
	cmd.Env = append(cmd.Env, env...)
	s := &started{Cmd: cmd, ended: make(chan error, 1)}
	s.Stderr = &s.stderr
	if err := s.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { s.ended <- s.Wait() }()
	return s
}

func (s *started) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// insist goes on interrupting until the process has ended: the signal after the
// first ends it at once.
func (s *started) insist(t *testing.T, within time.Duration) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
			_ = s.Process.Signal(os.Interrupt)
		case <-deadline:
			t.Fatal("the second signal did not end it")
		}
	}
}

// TestSignals stops the binary as an operator or the system does: what is in
// flight is finished, the printed command resumes, and the exit code tells.
func TestSignals(t *testing.T) {
	t.Parallel()
	for sig, code := range map[syscall.Signal]exitCode{syscall.SIGINT: exitInterrupted, syscall.SIGTERM: exitTerminated} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			const machines = 150
			r, seen := tenantSeen(t, simulator.Config{Machines: machines, Seed: 1, PerMinute: -1, PerHour: -1, Latency: 300 * time.Millisecond}, 10)
			s := r.start("run", r.list, "--comment", "it's why", "--yes", "--campaign", "stopped", "--per-minute=1000")
			<-seen
			if overlap, stderr := r.run(t.Context(), "resume"); overlap != int(exitLocked) {
				t.Errorf("a second run: exit code %d\n%s", overlap, stderr)
			}
			s.signal(t, sig)
			var exit *exec.ExitError
			if err := <-s.ended; !errors.As(err, &exit) || exit.ExitCode() != int(code) {
				t.Fatalf("%v; want exit code %d\n%s", err, code, &s.stderr)
			}
			if n, _ := r.sim.Effects(); n < 10 || n == machines {
				t.Errorf("%d machines were offboarded before the stop", n)
			}
			r.follow(resumeLine(t, s.stderr.String()), s.Env)
			if n, effects := r.sim.Effects(); n != machines || effects != machines {
				t.Errorf("%d machines by %d actions", n, effects)
			}
			for id, m := range r.sim.Truth().Machines {
				if m.Requests != 1 {
					t.Errorf("%s was asked for %d times", id, m.Requests)
				}
			}
		})
	}
}

// resumeLine finds the command that the stopped run printed.
func resumeLine(t *testing.T, stderr string) string {
	t.Helper()
	for line := range strings.Lines(stderr) {
		var event struct{ Command string }
		if json.Unmarshal([]byte(line), &event) == nil && event.Command != "" {
			return event.Command
		}
	}
	t.Fatalf("no command to resume with in\n%s", stderr)
	return ""
}

// follow pastes a command into a shell.
func (r *realTenant) follow(command string, env []string) {
	r.t.Helper()
	shell := exec.CommandContext(r.t.Context(), "sh", "-c", strings.Replace(command, "offboard", r.binary, 1))
	shell.Env = env
	if out, err := shell.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// TestSecondSignalEndsAtOnce: an answer that takes its time is not waited for,
// and nothing is lost by that.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	r, seen := tenantSeen(t, simulator.Config{
		Machines: 1, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1,
		Faults: []simulator.Fault{{Kind: simulator.SlowAfter, Nth: 1, Delay: 20 * time.Second}},
	}, 1)
	s := r.start("run", r.list, "--comment", "why", "--yes", "--log-level", "debug")
	<-seen
	s.signal(t, os.Interrupt)
	s.insist(t, 15*time.Second)
	if code := s.ProcessState.ExitCode(); code != int(exitInterrupted) {
		t.Errorf("exit code %d", code)
	}
	if code, stderr := r.run(t.Context(), "resume", "--settle-wait", "30s"); code != 0 {
		t.Errorf("resume: exit code %d\n%s", code, stderr)
	}
	if n, effects := r.sim.Effects(); n != 1 || effects != 1 {
		t.Errorf("%d machines by %d actions", n, effects)
	}
}
