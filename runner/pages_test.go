package runner_test

import (
	"testing"
	"testing/synctest"

	"offboard/defender"
	"offboard/runner"
)

// TestPagesSlide: while the tenant's actions are read, rows come and go, and the
// pages slide below the reader. What somebody else did is on the second page and
// has to be seen all the same. The last case slides by more than the pages
// overlap: it shows that the others are hard enough.
func TestPagesSlide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		vanish, appear int
		missed         bool
	}{
		"still":                           {},
		"rows come":                       {appear: 300},
		"rows go":                         {vanish: 200},
		"more rows go than we read twice": {vanish: 300, missed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 1)
				defer b.close()
				b.service.add(id(0), "by another host", defender.StatusPending)
				for i := range defender.MaxPage + 50 {
					b.service.add(id(i+1), "another machine", defender.StatusPending)
				}
				b.service.listErr = func() error {
					if b.service.looks != 2 {
						return nil
					}
					b.service.actions = b.service.actions[:len(b.service.actions)-c.vanish]
					for i := range c.appear {
						b.service.add(id(20_000+i), "another machine", defender.StatusPending)
					}
					return nil
				}
				cfg := b.config
				cfg.Record, cfg.Calls, cfg.ListCalls = b.campaign, newLimiter(t), newLimiter(t)
				r, err := runner.New(cfg)
				if err == nil {
					err = r.Adopt(t.Context(), b.campaign)
				}
				if err != nil {
					t.Fatal(err)
				}
				want := "accepted 1"
				if c.missed {
					want = "planned 1"
				}
				b.want(want)
			})
		})
	}
}
