package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
)

// realTenant is a tenant that a built binary speaks to over TLS.
type realTenant struct {
	*tenantServer
	t      *testing.T
	sim    *simulator.Simulator
	binary string
}

func newRealTenant(t *testing.T, c simulator.Config) *realTenant {
	t.Helper()
	r, err := serveReal(t, simulator.New(c).Watch(t), binary(t, shipped))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serveReal serves a tenant until the end of the test.
func serveReal(t *testing.T, sim *simulator.Simulator, binary string) (*realTenant, error) {
	t.Helper()
	server, err := serveTenant(sim, "", t.TempDir())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = server.Close() })
	return &realTenant{tenantServer: server, t: t, sim: sim, binary: binary}, nil
}

// command is the binary with the tenant's settings.
func (r *realTenant) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Env = os.Environ()
	for _, s := range r.settings() {
		cmd.Env = append(cmd.Env, s[0]+"="+s[1])
	}
	return cmd
}

// run runs the binary to its end and returns its exit code. What it writes to
// stderr is returned for the failure's sake.
func (r *realTenant) run(ctx context.Context, args ...string) (int, string) {
	r.t.Helper()
	cmd := r.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// trap is sprung by one of the requests that a tenant sees. That one and those
// after it are held back until the client is dead, so that it gets no further
// than it was, however long its death takes.
type trap struct {
	stage    simulator.Stage
	endpoint simulator.Endpoint // that counts; AnyEndpoint: every one
	left     atomic.Int64       // requests until it is sprung
	once     sync.Once
	sprung   chan struct{}
	dead     chan struct{}
}

func newTrap(s simulator.Stage, e simulator.Endpoint, nth int) *trap {
	t := &trap{stage: s, endpoint: e, sprung: make(chan struct{}), dead: make(chan struct{})}
	t.left.Store(int64(nth))
	return t
}

func (t *trap) observe(r simulator.Request) {
	if t == nil || r.Stage != t.stage || t.endpoint != simulator.AnyEndpoint && t.endpoint != r.Endpoint || t.left.Add(-1) > 0 {
		return
	}
	t.once.Do(func() { close(t.sprung) })
	<-t.dead
}

// trapped is a campaign whose tenant can set traps for it.
type trapped struct {
	*victim
	set atomic.Pointer[trap]
}

func newTrapped(t *testing.T, c simulator.Config, binary string) (*trapped, error) {
	t.Helper()
	p := &trapped{}
	c.Observe = func(r simulator.Request) { p.set.Load().observe(r) }
	var err error
	p.victim, err = newVictim(t, c, binary)
	return p, err
}

// kill starts the campaign, and kills it some time after a request has sprung the
// trap. It says whether it came to that.
func (p *trapped) kill(ctx context.Context, trap *trap, after time.Duration) (bool, error) {
	p.set.Store(trap)
	defer p.set.Store(nil)
	return p.live(ctx, nil, func(process *os.Process, ended <-chan struct{}) error {
		defer close(trap.dead)
		select {
		case <-trap.sprung:
		case <-ended:
			return nil
		}
		<-time.After(after)
		err := process.Kill()
		<-ended
		return err
	})
}

// TestKilledFiftyTimes kills the binary with SIGKILL at random moments of one
// campaign and resumes it each time: at a random request, on its way or before its
// answer, and a little later. By the tenant's own count every machine is offboarded
// exactly once, and none is left in doubt. The long form does so with several
// campaigns.
func TestKilledFiftyTimes(t *testing.T) {
	t.Parallel()
	const kills = 50
	path, seed := binary(t, shipped), rand.Uint64()
	t.Logf("seed %d", seed)
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "kill -9 at random moments", Controls: 1}
	campaigns := make([]func(), proof.Cases(1, 14))
	var tally tally
	for i := range campaigns {
		campaigns[i] = func() {
			err := killedAtRandom(t, path, rand.New(rand.NewPCG(seed, uint64(i))), kills)
			tally.add("", kills, err)
		}
	}
	inParallel(6, campaigns)
	tally.tell(t, &row)
	if sentBlindly(t, path) {
		row.Caught++
	}
	proof.Report(t, row)
}

// killedAtRandom kills one campaign so many times. Each time it gets at most five
// machines further, so that it cannot end before: of at most two requests that get
// through before the trap is sprung, and of the three that its workers have under
// way then.
func killedAtRandom(t *testing.T, binary string, chance *rand.Rand, kills int) error {
	t.Helper()
	p, err := newTrapped(t, simulator.Config{
		Machines: 6 * kills, Seed: chance.Int64(), PerMinute: -1, PerHour: -1, SettleAfter: -1, AcceptDuplicates: true,
		Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, ListLag: 50 * time.Millisecond,
	}, binary)
	if err != nil {
		return err
	}
	stages := []simulator.Stage{simulator.Arrived, simulator.Answering}
	for range kills {
		trap := newTrap(stages[chance.IntN(2)], simulator.AnyEndpoint, 1+chance.IntN(3))
		killed, err := p.kill(t.Context(), trap, time.Duration(chance.IntN(30))*time.Millisecond)
		if err == nil && !killed {
			err = errors.New("it ended before it could be killed")
		}
		if err != nil {
			return err
		}
	}
	return p.end(t.Context())
}

// sentBlindly says whether the tenant's count shows it when a machine whose answer
// was lost is sent again without a look.
func sentBlindly(t *testing.T, binary string) bool {
	t.Helper()
	p, err := newTrapped(t, simulator.Config{
		Machines: 10, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, AcceptDuplicates: true,
	}, binary)
	if err != nil {
		t.Fatal(err)
	}
	if killed, err := p.kill(t.Context(), newTrap(simulator.Answering, simulator.Offboard, 5), 0); err != nil || !killed {
		t.Fatalf("killed: %t, %v", killed, err)
	}
	if err := p.forget(); err != nil {
		t.Fatal(err)
	}
	return errors.Is(p.end(t.Context()), errBroken)
}
