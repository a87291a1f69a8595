package limiter

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"offboard/internal/proof"
)

// drawScenario draws from all that can go wrong at once. The quotas are small
// versions of the real ones, so that both windows fill often within few calls.
func drawScenario(t *rapid.T) scenario {
	s := scenario{
		Quotas: []Quota{
			{N: rapid.IntRange(1, 20).Draw(t, "short quota"), Per: 10 * time.Second},
			{N: rapid.IntRange(5, 60).Draw(t, "long quota"), Per: time.Minute},
		},
		Guard:     time.Second,
		Late:      time.Minute,
		Pace:      rapid.SampledFrom([]Pace{Burst, Burst, Even}).Draw(t, "pace"),
		Processes: rapid.IntRange(1, 2).Draw(t, "processes"),
		Workers:   rapid.IntRange(1, 64).Draw(t, "workers"),
		Calls:     rapid.IntRange(30, 150).Draw(t, "calls"),
		Latency:   rapid.SampledFrom([]time.Duration{0, 200 * time.Millisecond, 2 * time.Second, 15 * time.Second}).Draw(t, "latency"),
		Timeout:   5 * time.Second,
		Lost:      rapid.SampledFrom([]float64{0, 0.05, 0.3}).Draw(t, "lost"),
		Unused:    rapid.SampledFrom([]float64{0, 0.1}).Draw(t, "unused"),
		Refused:   rapid.SampledFrom([]float64{0, 0.02}).Draw(t, "refused"),
		Kills:     rapid.IntRange(0, 3).Draw(t, "kills"),
		Seed:      rapid.Uint64().Draw(t, "seed"),
	}
	s.LoseFile = s.Processes == 1 && rapid.Bool().Draw(t, "lose the ledger file")
	return s
}

// bubble runs a scenario in virtual time.
func bubble(t *testing.T, s scenario) (arrivals []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { arrivals = s.run(t) })
	return arrivals
}

// TestNoWindowIsEverOver plays random campaigns against all six servers. The
// controls show that the harness sees what each part of the guarantee is there to
// prevent.
func TestNoWindowIsEverOver(t *testing.T) {
	t.Parallel()
	var faults atomic.Int64
	row := proof.Row{Promise: proof.WithinLimits, Harness: "random campaigns against six servers"}
	defer func() {
		row.Faults = int(faults.Load())
		proof.Report(t, row)
	}()
	for name, c := range controls() {
		row.Controls++
		if n := c.excess(t); n > 0 {
			t.Logf("control: %s: %d calls too many", name, n)
			row.Caught++
		}
	}
	for range proof.Cases(1, 50) {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawScenario(rt)
			s.Faults = &faults
			row.Cases++
			arrivals := bubble(t, s)
			over := refusals(arrivals, s.Quotas)
			for _, r := range over {
				rt.Error(r)
			}
			if len(over) > 0 {
				row.Violations++
			}
			if s.Unused == 0 && s.Refused == 0 && len(arrivals) < s.Calls {
				rt.Errorf("%d of %d calls were made", len(arrivals), s.Calls)
			}
		})
	}
}

// TestRealQuotas runs two campaigns of one tenant at the same time, against the
// real limits, each killed and resumed at once.
func TestRealQuotas(t *testing.T) {
	t.Parallel()
	s := scenario{
		Quotas: DefaultQuotas(), Guard: time.Second, Late: time.Minute, Processes: 2, Workers: 8, Calls: 2000,
		Latency: 2 * time.Second, Timeout: 30 * time.Second, Lost: 0.02, Kills: 4, Seed: 3,
	}
	arrivals := bubble(t, s)
	for _, r := range refusals(arrivals, s.Quotas) {
		t.Error(r)
	}
	if len(arrivals) < s.Calls {
		t.Errorf("%d of %d calls were made", len(arrivals), s.Calls)
	}
}

// control is a campaign with a part of the guarantee taken away, and the name of
// the server that has to notice.
type control struct {
	spoil func(*scenario)
	seen  string
}

func controls() map[string]control {
	return map[string]control{
		"plain buckets":              {func(s *scenario) { s.Plain = true }, "sliding log"},
		"plain buckets, fixed":       {func(s *scenario) { s.Plain = true }, "fixed windows"},
		"no guard":                   {func(s *scenario) { s.Guard, s.Latency = 1, 50*time.Millisecond }, "whole-second windows"},
		"late arrivals not believed": {func(s *scenario) { s.Lost, s.TakenLate = 0.5, 1 }, "sliding log"},
		"two processes, two ledgers": {func(s *scenario) { s.Processes, s.LoseFile = 2, true }, "sliding log"},
	}
}

// excess is how many calls of the spoiled campaign are too many. Without the fault
// there must be none.
func (c control) excess(t *testing.T) (refused int) {
	t.Helper()
	s := scenario{
		Quotas: []Quota{{N: 10, Per: 10 * time.Second}, {N: 40, Per: time.Minute}},
		Guard:  time.Second, Late: time.Minute, Processes: 1, Workers: 16, Calls: 200,
		Latency: 2 * time.Second, Timeout: 5 * time.Second, Seed: 1,
	}
	if got := refusals(bubble(t, s), s.Quotas); got != nil {
		t.Fatalf("without the fault: %v", got)
	}
	c.spoil(&s)
	arrivals := bubble(t, s)
	for _, server := range servers() {
		if server.name == c.seen {
			for _, q := range s.Quotas {
				refused += server.refuse(arrivals, q)
			}
		}
	}
	return refused
}
