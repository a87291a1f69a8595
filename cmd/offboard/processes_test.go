package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
)

// host runs several processes of the binary against one tenant, each with a list
// and a journal of its own.
type host struct {
	*realTenant
	dir    string
	lists  []string
	apart  bool           // each has a state directory of its own: the control
	owners map[string]int // of the machines

	answered atomic.Int64 // offboard requests
	calls    chan int64   // answered, where somebody is to be killed
	kill     []atomic.Pointer[context.CancelFunc]
	kills    atomic.Int64
}

// perMinute is the host's quota, small enough to be used up at once.
const perMinute = 40

func newHost(t *testing.T, processes, machinesEach int, apart bool) *host {
	t.Helper()
	h := &host{dir: t.TempDir(), apart: apart, owners: map[string]int{}, calls: make(chan int64, 100), kill: make([]atomic.Pointer[context.CancelFunc], processes)}
	h.realTenant = newRealTenant(t, simulator.Config{
		Machines: processes * machinesEach, Seed: 1, PerMinute: perMinute, SettleAfter: -1, AcceptDuplicates: true,
		Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond, ListLag: 200 * time.Millisecond,
		Observe: h.observe,
	})
	for i := range processes {
		path := filepath.Join(h.dir, fmt.Sprintf("part%d.txt", i))
		machines := h.sim.Machines()[i*machinesEach : (i+1)*machinesEach]
		err := writeFile(path, func(w io.Writer) error {
			var err error
			for _, m := range machines {
				h.owners[m.ID] = i
				_, e := fmt.Fprintln(w, m.ID)
				err = errors.Join(err, e)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		h.lists = append(h.lists, path)
	}
	return h
}

func (h *host) observe(r simulator.Request) {
	if r.Endpoint != simulator.Offboard || r.Stage != simulator.Answering {
		return
	}
	select {
	case h.calls <- h.answered.Add(1):
	default:
	}
}

// live runs the ith process to its end, again each time it is killed.
func (h *host) live(ctx context.Context, i int) error {
	for {
		life, cancel := context.WithCancel(ctx)
		h.kill[i].Store(&cancel)
		stderr, err := h.once(life, i)
		killed := life.Err() != nil
		h.kill[i].Store(nil)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case killed:
			h.kills.Add(1)
		case err != nil:
			return fmt.Errorf("process %d: %w\n%s", i, err, stderr)
		default:
			return nil
		}
	}
}

// once runs the ith process until it ends or its context does.
func (h *host) once(ctx context.Context, i int) (stderr string, err error) {
	// A request under way when its client dies arrives within the latency, and the
	// list shows it a lag later: the simulator's bounds.
	cmd := h.command(ctx, "run", h.lists[i], "--comment", "why", "--yes", "--journal", filepath.Join(h.dir, fmt.Sprint("journal", i)),
		fmt.Sprint("--per-minute=", perMinute), "--settle-wait=10s", "--workers=2")
	if h.apart {
		cmd.Env = append(cmd.Env, "OFFBOARD_STATE_DIR="+filepath.Join(h.dir, fmt.Sprint("state", i)))
	}
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	return out.String(), err
}

// all runs all processes, and kills one of them at each of the given numbers of
// calls, if one is still alive. It returns what went wrong.
func (h *host) all(ctx context.Context, chance *rand.Rand, kills []int64) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make([]error, len(h.lists))
	var processes, killer sync.WaitGroup
	for i := range h.lists {
		processes.Go(func() { failed[i] = h.live(ctx, i) })
	}
	killer.Go(func() { h.murder(ctx, chance, kills) })
	processes.Wait()
	stop()
	killer.Wait()
	return errors.Join(failed...)
}

func (h *host) murder(ctx context.Context, chance *rand.Rand, kills []int64) {
	for len(kills) > 0 {
		select {
		case <-ctx.Done():
			return
		case n := <-h.calls:
			if n < kills[0] {
				continue
			}
			kills = kills[1:]
			if cancel := h.kill[chance.IntN(len(h.kill))].Load(); cancel != nil {
				(*cancel)()
			}
		}
	}
}

// overQuota says whether the tenant saw more calls of any kind than it allows.
func (h *host) overQuota() bool {
	for class, calls := range h.sim.Truth().Calls {
		h.t.Logf("%s: %d calls, %d in a minute, %d × 429", class, calls.Arrived, calls.PeakMinute, calls.Throttled)
		if calls.PeakMinute > perMinute || calls.Throttled > 0 {
			return true
		}
	}
	return false
}

// ledgers are the files that hold the host's quotas.
func (h *host) ledgers() (paths []string) {
	h.t.Helper()
	env := map[string]string{}
	for _, s := range h.settings() {
		env[s[0]] = s[1]
	}
	a := &app{env: environment{getenv: func(name string) string { return env[name] }}}
	cloud := (&connectionFlags{apiURL: h.URL}).cloudName()
	for _, api := range []string{"offboard", "list"} {
		path, err := a.ledgerPath(journal.Tenant{ID: h.config.TenantID, Cloud: cloud}, h.config.ClientID, api)
		if err != nil {
			h.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// plantStaleLocks leaves beside the ledgers what processes leave that were killed
// long ago, one of them as it made its file.
func (h *host) plantStaleLocks() {
	h.t.Helper()
	for _, path := range h.ledgers() {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			h.t.Fatal(err)
		}
		for name, content := range map[string]string{".lock": "", ".00000000deadbeef.lock": "", ".0123456789abcdef.lock": "\x00?"} {
			if err := os.WriteFile(path+name, []byte(content), 0o600); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// TestFourProcesses has four processes of the binary share one quota. Some are
// killed with their calls in flight and begun again, and the locks of others that
// died long ago lie about. The short form fills one minute, and has to wait for the
// next.
func TestFourProcesses(t *testing.T) {
	t.Parallel()
	const processes = 4
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	row := proof.Row{Promise: proof.WithinLimits, Harness: "four processes of one host", Cases: processes, Controls: 1}
	each := proof.Cases(13, 60) // three of them do not fill the minute
	h := newHost(t, processes, each, false)
	h.plantStaleLocks()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	kills := []int64{8, 25}
	for n := int64(50); n < int64(processes*each); n += 20 {
		kills = append(kills, n)
	}
	if err := h.all(ctx, rand.New(rand.NewPCG(seed, 0)), kills); err != nil {
		t.Error(err)
	}
	h.tellShares()
	row.Faults = int(h.kills.Load()) + len(h.ledgers()) // and the locks that were planted
	n, effects := h.sim.Effects()
	if n != processes*each || effects != n {
		t.Errorf("%d machines offboarded by %d actions, want %d", n, effects, processes*each)
	}
	if h.overQuota() {
		row.Violations++
	}
	if left, err := os.ReadDir(filepath.Dir(h.ledgers()[0])); err != nil || len(left) != 4 {
		t.Errorf("after everyone left there should be two ledgers and their locks: %v, %v", left, err)
	}
	if goesOverApart(t, processes) {
		row.Caught++
	}
	proof.Report(t, row)
}

// tellShares logs how many calls each process had made when the first of them was
// done, and fails if one had to stand back for the others.
func (h *host) tellShares() {
	h.t.Helper()
	each := h.config.Machines / len(h.lists)
	had := make([]int, len(h.lists))
	for _, call := range h.sim.Log(simulator.ClassOffboard) {
		if i := h.owners[call.MachineID]; had[i] < each {
			if had[i]++; had[i] == each {
				break
			}
		}
	}
	h.t.Logf("calls when the first had made %d: %v", each, had)
	for i, n := range had {
		if proof.Torture() && n < each/4 { // the short form ends before it could tell
			h.t.Errorf("process %d had made only %d", i, n)
		}
	}
}

// goesOverApart says whether the tenant sees it when the processes do not share a
// ledger.
func goesOverApart(t *testing.T, processes int) bool {
	t.Helper()
	h := newHost(t, processes, 13, true)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if h.sim.Truth().Calls[simulator.ClassOffboard].Throttled > 0 {
					cancel() // it has been seen, and they need not go on
				}
			}
		}
	})
	err := h.all(ctx, nil, nil)
	cancel()
	watch.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	return h.overQuota()
}
