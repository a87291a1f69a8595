package limiter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"offboard/internal/proof"
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

// arrived waits until the child has made as many calls as spawn was told.
func (p *process) arrived(t *testing.T) {
	t.Helper()
	select {
	case <-p.reach:
	case <-p.done:
		t.Fatal("a process ended before it was told to")
	case <-time.After(5 * time.Minute):
		t.Fatal("a process starves")
	}
}

// excess is how many of the calls are too many for the children's quotas.
func excess(arrivals []time.Duration) (n int) {
	slices.Sort(arrivals)
	for _, q := range childConfig(nil).Quotas {
		n += slidingLog(arrivals, q)
	}
	return n
}

// TestProcesses has four real processes share a ledger in real time, beside the
// locks of others that died long ago. Again and again one is killed in the middle
// of its calls, and a new one takes its place and gets its part while the others
// go on.
func TestProcesses(t *testing.T) {
	t.Parallel()
	const processes, calls = 4, 20
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	row := proof.Row{Promise: proof.WithinLimits, Harness: "real processes, short windows", Faults: 2, Controls: 1}
	dir := t.TempDir()
	for _, session := range []uint64{1, newID()} { // as two kills leave them
		must(t, os.WriteFile(fmt.Sprintf("%s.%016x%s", filepath.Join(dir, childLedger), session, sessionSuffix), nil, 0o600))
	}
	alive := make([]*process, processes)
	for i := range alive {
		alive[i] = spawn(t, dir, calls)
	}
	var arrivals []time.Duration
	for range proof.Cases(4, 80) {
		i := chance.IntN(processes)
		alive[i].arrived(t)
		arrivals = append(arrivals, alive[i].kill(t)...)
		alive[i] = spawn(t, dir, calls)
		row.Faults++
	}
	for _, p := range alive {
		p.arrived(t)
	}
	for _, p := range alive {
		arrivals = append(arrivals, p.stop(t)...)
	}
	row.Cases, row.Violations = len(arrivals), excess(arrivals)
	if left := files(t, filepath.Join(dir, childLedger)); len(left) != 2 {
		t.Errorf("after everyone left there should be the ledger and its lock: %q", left)
	}
	for attempt := 0; attempt < 10 && row.Caught == 0; attempt++ { // a busy machine may be too slow to be over
		row.Caught = min(1, excess(processesApart(t)))
	}
	proof.Report(t, row)
}

// processesApart is the control: the calls of two processes without a common
// ledger.
func processesApart(t *testing.T) []time.Duration {
	t.Helper()
	a, b := spawn(t, t.TempDir(), 130), spawn(t, t.TempDir(), 130)
	a.arrived(t)
	b.arrived(t)
	return slices.Concat(a.stop(t), b.stop(t))
}
