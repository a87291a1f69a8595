package limiter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// childEnv makes the test binary a process of TestProcesses. Its ledger is the
// file childLedger in its working directory.
const (
	childEnv    = "OFFBOARD_LIMITER_TEST_CHILD"
	childLedger = "ledger"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child(os.Stdout)
		return
	}
	os.Exit(m.Run()) //nolint:forbidigo // a test binary ends this way
}

// childConfig has windows so short that many of them fit into a test.
func childConfig(g *Ledger) Config {
	return Config{
		Quotas:      []Quota{{50, 300 * time.Millisecond}, {200, 2 * time.Second}},
		Guard:       20 * time.Millisecond,
		LateArrival: 100 * time.Millisecond,
		Ledger:      g,
	}
}

// child makes calls until its standard input ends, and prints when the server
// saw each: some time between taking the token and reporting on it.
func child(out io.Writer) {
	g, err := OpenLedger(childLedger, nil)
	if err != nil {
		panic(err)
	}
	l, err := New(childConfig(g))
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				tk, err := l.Take(ctx)
				if err != nil {
					return
				}
				<-time.After(time.Duration(tk.ID() % 5_000_000)) // up to 5 ms on the way there
				mu.Lock()
				fmt.Fprintln(out, time.Now().UnixNano())
				mu.Unlock()
				<-time.After(time.Duration(tk.ID() / 3 % 5_000_000)) // and back
				tk.Answered()
			}
		})
	}
	workers.Wait()
	if err := l.Close(); err != nil {
		panic(err)
	}
}

// process is a running child.
type process struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	arrivals []time.Duration
	reach    chan struct{} // closed after that many arrivals
	done     chan struct{}
}

// spawn starts a child in a directory; reach is closed when it made so many calls.
func spawn(t *testing.T, dir string, calls int) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), reach: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childEnv+"=1")
	p.cmd.Dir = dir
	p.cmd.Stderr = os.Stderr
	p.stdin = must2(p.cmd.StdinPipe())(t)
	out := must2(p.cmd.StdoutPipe())(t)
	must(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			ns, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				continue // a line that a kill cut short
			}
			if p.arrivals = append(p.arrivals, time.Duration(ns)); len(p.arrivals) == calls {
				close(p.reach)
			}
		}
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// stop lets the child end in its own way.
func (p *process) stop(t *testing.T) []time.Duration {
	t.Helper()
	must(t, p.stdin.Close())
	<-p.done
	must(t, p.cmd.Wait())
	return p.arrivals
}

// kill ends the child as SIGKILL does.
func (p *process) kill(t *testing.T) []time.Duration {
	t.Helper()
	must(t, p.cmd.Process.Kill())
	<-p.done
	_ = p.cmd.Wait() // says that it was killed
	return p.arrivals
}

// TestProcesses has real processes share a ledger in real time. One is killed
// in the middle of its calls, and another one takes its place.
func TestProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	quotas := childConfig(nil).Quotas
	a, b := spawn(t, dir, 130), spawn(t, dir, 130)
	<-a.reach
	arrivals := a.kill(t)
	<-b.reach
	c := spawn(t, dir, 50)
	<-c.reach
	arrivals = slices.Concat(arrivals, b.stop(t), c.stop(t))
	slices.Sort(arrivals)
	for _, q := range quotas {
		if n := slidingLog(arrivals, q); n > 0 {
			t.Errorf("%s: %d of %d calls too many", q, n, len(arrivals))
		}
	}
	t.Logf("%d, %d and %d calls", len(a.arrivals), len(b.arrivals), len(c.arrivals))
	if left := files(t, filepath.Join(dir, childLedger)); len(left) != 2 {
		t.Errorf("after everyone left there should be the ledger and its lock: %q", left)
	}
}

// TestProcessesApart is the control: without a common ledger the same processes
// are over the quota.
func TestProcessesApart(t *testing.T) {
	t.Parallel()
	a, b := spawn(t, t.TempDir(), 130), spawn(t, t.TempDir(), 130)
	<-a.reach
	<-b.reach
	arrivals := slices.Concat(a.stop(t), b.stop(t))
	slices.Sort(arrivals)
	if n := slidingLog(arrivals, childConfig(nil).Quotas[0]); n == 0 {
		t.Error("the test does not see that nothing is shared")
	}
}
