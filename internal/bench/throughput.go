package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"offboard/internal/ratio"
)

// lifted are the flags that leave the quotas no part.
var lifted = []string{"--per-minute", "1000000", "--per-hour", "1000000"}

// throughput compares the machines a second of whole campaigns with plain loops
// that make the same calls, as the server sees them.
func (b *bench) throughput(ctx context.Context) error {
	s, err := serve()
	if err != nil {
		return err
	}
	defer func() { _ = s.http.Close() }()
	for _, c := range []struct {
		workers, machines int
		log               bool
		reference         string
		atLeast           float64
	}{
		{64, b.machines / 50, false, "a plain loop with 64 goroutines, no journal", 0.5},
		{1, b.machines / 400, true, "a plain loop, two appends with fsync a machine", 0.6},
	} {
		list, err := b.list("csv", c.machines)
		if err != nil {
			return err
		}
		args := []string{"-url", s.url, "-workers", strconv.Itoa(c.workers)}
		if c.log {
			args = append(args, "-log", filepath.Join(b.dir, "log"))
		}
		var ratios, rates []float64
		var cost usage
		for range b.turns {
			s.reset()
			if _, _, err := b.seconds(ctx, append(args, "loop", list)...); err != nil {
				return err
			}
			theirs := s.rate()
			if cost, err = b.send(ctx, s, list, c.workers, filepath.Join(b.dir, "short")); err != nil {
				return err
			}
			ratios, rates = append(ratios, s.rate()/theirs), append(rates, s.rate())
		}
		err = b.report(ratio.Row{
			What:      fmt.Sprintf("machines a second, quotas lifted, workers: %d", c.workers),
			Reference: c.reference, Measured: ratio.Median(ratios), AtLeast: c.atLeast,
			Note: fmt.Sprintf("%.0f a second; %s", ratio.Median(rates), cost),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// send carries out a campaign from nothing and forgets it.
func (b *bench) send(ctx context.Context, s *server, list string, workers int, state string) (usage, error) {
	s.reset()
	defer func() { _ = os.RemoveAll(state) }()
	return b.runCampaign(ctx, s, list, state, []int{0}, "--workers", strconv.Itoa(workers))
}

func (b *bench) runCampaign(ctx context.Context, s *server, list, state string, fine []int, flags ...string) (usage, error) {
	args := append([]string{"run", list, "--comment", "CHG-4711 retired", "--yes", "--log-level", "error"}, lifted...)
	return measureProcess(ctx, s.environment(state), fine, b.offboard, append(args, flags...)...)
}
