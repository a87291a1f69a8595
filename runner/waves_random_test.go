package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

const (
	wavePause = 6 * time.Hour
	// waveSlack is more than settling takes after as many kills as there are, and
	// less than a pause.
	waveSlack = 2 * time.Hour
	// mostWaveFaults bounds what goes wrong in a campaign.
	mostWaveFaults = 5
)

// stagedTrial is a campaign in three waves whose processes are killed at moments
// drawn by chance, most of them in a pause, and whose steps fail by chance.
type stagedTrial struct {
	*trial
	last    []int
	cuts    []time.Duration // when the first processes are killed
	until   float64
	confirm bool
	says    *rand.Rand
	spoil   func(*runner.Waves) // takes a part of the protection away

	mu        sync.Mutex
	sent      map[int]time.Time // the newest request by wave
	confirmed map[int]bool
	released  map[int]bool
}

func newStagedTrial(t *testing.T, seed uint64) *stagedTrial {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 0))
	c := simulator.Config{Machines: 6, Seed: 1, SettleAfter: -1, AcceptDuplicates: true}
	w := &stagedTrial{
		last: []int{2, 4, 6}, confirm: chance.IntN(3) == 0, says: rand.New(rand.NewPCG(seed, 1)),
		sent: map[int]time.Time{}, confirmed: map[int]bool{}, released: map[int]bool{},
	}
	if chance.IntN(3) == 0 {
		w.until, c.SettleAfter = 100, 10*time.Minute
	}
	w.trial = newTrial(t, c)
	w.config.Workers = 1 + chance.IntN(3)
	for range 1 + chance.IntN(3) {
		w.cuts = append(w.cuts, time.Duration(chance.Int64N(int64(2*wavePause))))
	}
	w.fail = func(_ int, k kind) form {
		if w.injected >= mostWaveFaults || chance.IntN(12) > 0 {
			return ""
		}
		return forms[k][chance.IntN(len(forms[k]))]
	}
	w.watch, w.weaken = w.arrivedInWave, w.divide
	return w
}

// divide gives a process the waves as the last one left them on disk.
func (w *stagedTrial) divide(c *runner.Config) {
	record := c.Record.(*recorder)
	p, err := progressOf(record.Info())
	if err != nil {
		w.problem("%v", err)
	}
	c.Waves = &runner.Waves{
		Last: w.last, Pause: wavePause, UntilSucceeded: w.until, Timeout: 24 * time.Hour, Progress: p,
		Keep:   func(p runner.WaveProgress) error { return w.keep(record, p) },
		Record: record, Owner: func(name string) (runner.Followed, error) { return w.journal.Campaign(name) },
	}
	if w.confirm {
		c.Waves.Confirm = w.ask
	}
	if w.spoil != nil {
		w.spoil(c.Waves)
	}
}

func progressOf(i journal.Info) (p runner.WaveProgress, err error) {
	if len(i.Rules) > 0 {
		err = json.Unmarshal(i.Rules, &p)
	}
	return p, err
}

// keep is a step. A wave is released once, and then the pause behind the last
// request of those before has just ended.
func (w *stagedTrial) keep(record *recorder, p runner.WaveProgress) error {
	w.judgeRelease(p)
	return w.write(func() error {
		return record.Update(func(i *journal.Info) (err error) { i.Rules, err = json.Marshal(p); return err })
	})
}

func (w *stagedTrial) judgeRelease(p runner.WaveProgress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Open < 2 || w.released[p.Open] {
		return
	}
	w.released[p.Open] = true
	var newest time.Time
	for wave, at := range w.sent {
		if wave < p.Open && at.After(newest) {
			newest = at
		}
	}
	switch since := time.Since(newest); {
	case newest.IsZero():
		// None has left, and who may not look has doubts that hold nothing up.
	case since < wavePause:
		w.problem("wave %d was released %s after the last request, before the pause was over", p.Open, since)
	case since > wavePause+waveSlack:
		w.problem("wave %d was released %s after the last request: not the rest of the pause was waited for", p.Open, since)
	}
}

func (w *stagedTrial) ask(_ context.Context, next runner.NextWave) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.says.IntN(2) == 0 {
		return "", runner.ErrWaveUnconfirmed
	}
	w.confirmed[next.Wave] = true
	return "somebody", nil
}

// arrivedInWave judges a request at the moment that it arrives: its wave has to be
// released on disk, and confirmed where a person is asked.
func (w *stagedTrial) arrivedInWave(machineID string) {
	wave := runner.WaveOf(w.last, slices.Index(w.list, machineID)+1)
	w.trial.mu.Lock()
	j := w.journal
	w.trial.mu.Unlock()
	c, err := j.Campaign("c")
	var p runner.WaveProgress
	if err == nil {
		p, err = progressOf(c.Info())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[wave] = time.Now()
	if err != nil || max(p.Open, 1) < wave {
		w.problem("a request for wave %d before it was released: on disk wave %d is, %v", wave, p.Open, err)
	}
	if w.confirm && wave > 1 && !w.confirmed[wave] {
		w.problem("a request for wave %d, which nobody has confirmed", wave)
	}
}

// carryOn lets one process follow another at once until one has ended by itself
// that met no fault.
func (w *stagedTrial) carryOn(ctx context.Context) {
	for n := range 40 {
		before := w.faults()
		stop := func() bool { return true }
		if n < len(w.cuts) {
			stop = time.AfterFunc(w.cuts[n], w.cut).Stop
		}
		err := w.process(ctx)
		stop()
		switch clean := w.faults() == before; {
		case !clean || errors.Is(err, runner.ErrWaveUnconfirmed):
		case err != nil:
			w.problem("process %d met no fault and ended with %v", n, err)
			return
		default:
			return
		}
	}
	w.problem("no end after 40 processes")
}

// cut kills the process: what it does from now on leaves no mark in the journal.
func (w *stagedTrial) cut() {
	w.trial.mu.Lock()
	defer w.trial.mu.Unlock()
	w.broken = true
	w.injected++
	w.stop()
}

// judgeEnd: every machine by one action, and the journal knows it.
func (w *stagedTrial) judgeEnd() {
	j, err := journal.Open(w.path, journal.Tenant{}, journal.Options{ReadOnly: true})
	if err != nil {
		w.problem("%v", err)
		return
	}
	defer j.Close()
	c, err := j.Campaign("c")
	if err != nil {
		w.problem("%v", err)
		return
	}
	w.judgeCounts(c)
	truth := w.sim.Truth().Machines
	for _, id := range w.list {
		e, err := c.Entry(id)
		if err != nil || e.State != journal.Accepted && e.State != journal.Succeeded || len(truth[id].ActionIDs) != 1 {
			w.problem("machine %s is %s, %v; in truth %v", id, e.State, err, truth[id].ActionIDs)
		}
	}
}

// tryStaged carries one campaign out and returns what went wrong.
func tryStaged(t *testing.T, seed uint64, spoil func(*runner.Waves)) (problems []string, faults int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newStagedTrial(t, seed)
		w.spoil = spoil
		w.carryOn(t.Context())
		w.judgeEnd()
		problems, faults = w.close(), w.faults()
	})
	return problems, faults
}

// TestStagedByChance: whenever its processes are killed and whichever steps fail, no
// machine is sent before its wave was released on disk, none twice, and what follows
// in a pause waits for the rest of it.
func TestStagedByChance(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "waves, by chance"}
	for seed := range uint64(proof.Cases(15, 3000)) {
		problems, faults := tryStaged(t, seed, nil)
		row.Cases, row.Faults = row.Cases+1, row.Faults+faults
		if len(problems) > 0 {
			row.Violations++
			t.Errorf("seed %d: %s", seed, strings.Join(problems, "\n"))
		}
	}
	for name, control := range stagedControls {
		row.Controls++
		if shown := showsStaged(t, control.spoil, control.shows); shown {
			row.Caught++
		} else {
			t.Errorf("%s: not seen", name)
		}
	}
	proof.Report(t, row)
}

// stagedControls are waves without a part of the protection, and what must be said
// of each.
var stagedControls = map[string]struct {
	spoil func(*runner.Waves)
	shows string
}{
	"the release is not on disk": {func(w *runner.Waves) {
		w.Keep = func(runner.WaveProgress) error { return nil }
	}, "before it was released"},
	"all are one wave":    {func(w *runner.Waves) { w.Last = []int{6} }, "before it was released"},
	"a pause begins anew": {kept(func(p *runner.WaveProgress) { p.Ended = time.Time{} }), "not the rest of the pause"},
	"a pause is over with its process": {
		kept(func(p *runner.WaveProgress) { p.Ended = p.Ended.Add(-wavePause) }), "before the pause was over",
	},
	"nobody is asked again": {func(w *runner.Waves) {
		if w.Confirm != nil {
			w.Confirm = func(context.Context, runner.NextWave) (string, error) { return "nobody", nil }
		}
	}, "nobody has confirmed"},
}

// kept has the progress put down otherwise than it is.
func kept(change func(*runner.WaveProgress)) func(*runner.Waves) {
	return func(w *runner.Waves) {
		keep := w.Keep
		w.Keep = func(p runner.WaveProgress) error {
			change(&p)
			return keep(p)
		}
	}
}

func showsStaged(t *testing.T, spoil func(*runner.Waves), what string) bool {
	t.Helper()
	for seed := range uint64(60) {
		problems, _ := tryStaged(t, seed, spoil)
		if strings.Contains(fmt.Sprint(problems), what) {
			return true
		}
	}
	return false
}
