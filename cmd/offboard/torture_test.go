package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offboard/internal/failpoint"
	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
)

// errBroken is the verdict of the tenant's own count on a campaign.
var errBroken = errors.New("not exactly once")

// victim is a campaign that is killed and carried on until it has ended.
//
// Only the tenant's lag and its late requests count for --settle-wait: after each
// death everything that was sent has arrived before the next life begins, however
// slow the machine is.
type victim struct {
	*realTenant
	enlisted bool
	rules    []string     // the campaign is begun under
	last     bytes.Buffer // what the last life wrote to stderr
}

func newVictim(t *testing.T, c simulator.Config, binary string) (*victim, error) {
	t.Helper()
	r, err := serveReal(t, simulator.New(c), binary)
	return &victim{realTenant: r}, err
}

// args carry the campaign on. Before its list is in the journal, that takes the
// list.
func (v *victim) args() []string {
	with := []string{"--per-minute=100000", "--per-hour=1000000", "--settle-wait=500ms", "--workers=3"}
	if v.enlisted {
		return append([]string{"resume"}, with...)
	}
	return slices.Concat([]string{"run", v.list, "--comment", "why", "--yes"}, v.rules, with)
}

// live carries the campaign on until its process ends or is killed, and says
// which. The killer, if there is one, is called when the process lives and may
// kill it; ended is closed after its death. Any end but a kill or success is an
// error.
func (v *victim) live(ctx context.Context, env []string, killer func(_ *os.Process, ended <-chan struct{}) error) (killed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	v.last.Reset()
	cmd := v.command(ctx, v.args()...)
	cmd.Env, cmd.Stderr = append(cmd.Env, env...), &v.last
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	if killer != nil {
		err = killer(cmd.Process, ended)
	}
	<-ended
	v.enlisted = v.enlisted || strings.Contains(v.last.String(), "list enlisted")
	killed = wasKilled(cmd.ProcessState)
	if ctx.Err() != nil || err != nil || !killed && !cmd.ProcessState.Success() {
		return killed, errors.Join(fmt.Errorf("%s\n%s", cmd.ProcessState, &v.last), err, ctx.Err())
	}
	return killed, v.Quiet(ctx)
}

func wasKilled(s *os.ProcessState) bool {
	if runtime.GOOS == "windows" {
		return s.ExitCode() == 1 // as TerminateProcess is asked to say
	}
	return !s.Exited()
}

// end carries the campaign on to its end and judges it.
func (v *victim) end(ctx context.Context) error {
	if killed, err := v.live(ctx, nil, nil); err != nil || killed {
		return errors.Join(fmt.Errorf("the last life: killed: %t", killed), err)
	}
	if code, stderr := v.run(ctx, "journal", "check"); code != 0 {
		return fmt.Errorf("journal check: exit code %d\n%s", code, stderr)
	}
	if err := v.allArrived(ctx); err != nil {
		return err
	}
	want := v.config.Machines
	if n, effects := v.sim.Effects(); n != want || effects != want || len(v.sim.Violations()) > 0 {
		return fmt.Errorf("%w: %d machines by %d actions; want %d by as many: %q", errBroken, n, effects, want, v.sim.Violations())
	}
	return nil
}

// allArrived waits for the requests that a fault or a latency holds back: what they
// do counts too.
func (v *victim) allArrived(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for v.sim.Truth().UnderWay > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// forget takes the protection away: it says of every machine in doubt that nothing
// arrived, so that the next life sends it again.
func (v *victim) forget() error {
	paths, err := filepath.Glob(filepath.Join(v.dir, "state", "*.journal"))
	if err != nil || len(paths) != 1 {
		return errors.Join(fmt.Errorf("journals: %q", paths), err)
	}
	j, err := journal.Open(paths[0], journal.Tenant{}, journal.Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	if _, err := j.Recover(); err != nil {
		return err
	}
	c, err := j.Campaign("machines")
	if err != nil {
		return err
	}
	for s, err := range c.Standing() {
		if err == nil && s.State == journal.InDoubt {
			err = c.Release(s.MachineID, journal.Failure{Reason: journal.ReasonAbsent})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tally adds up campaigns that were killed.
type tally struct {
	mu     sync.Mutex
	cases  int
	kills  map[failpoint.Point]int // "": at no named point
	broken []error
}

// add takes the end of a campaign in.
func (sum *tally) add(p failpoint.Point, kills int, err error) {
	sum.mu.Lock()
	defer sum.mu.Unlock()
	if sum.kills == nil {
		sum.kills = map[failpoint.Point]int{}
	}
	sum.cases++
	sum.kills[p] += kills
	if err != nil {
		sum.broken = append(sum.broken, err)
	}
}

// tell puts the sums into a row, and what broke into the test's log.
func (sum *tally) tell(t *testing.T, row *proof.Row) {
	t.Helper()
	row.Cases, row.Violations = sum.cases, len(sum.broken)
	for _, kills := range sum.kills {
		row.Faults += kills
	}
	for _, err := range sum.broken {
		t.Error(err)
	}
}

// inParallel runs jobs, so many at a time. Most of a life is waiting.
func inParallel(most int, jobs []func()) {
	var running sync.WaitGroup
	room := make(chan struct{}, most)
	for _, job := range jobs {
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			job()
		})
	}
	running.Wait()
}
