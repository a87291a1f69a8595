package runner_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

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

// TestInventorySlides: while the inventory is read, records come and go, and rows
// repeat or slide below the reader. No machine is counted twice, and one that was
// missed is not seen, whatever else is known; the last case shows that one can be.
func TestInventorySlides(t *testing.T) {
	t.Parallel()
	const machines = defender.MaxPage + 300
	for name, c := range map[string]struct{ vanish, appear, seen int }{
		"still":                           {seen: machines},
		"rows come":                       {appear: 150, seen: machines},
		"rows go":                         {vanish: 200, seen: machines},
		"more rows go than we read twice": {vanish: 250, seen: machines - 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				list := &slidingInventory{vanish: c.vanish, appear: c.appear}
				for i := range machines {
					list.rows = append(list.rows, defender.Machine{ID: id(i), OnboardingStatus: defender.Onboarded})
				}
				d := runner.NewDirectory(list, newLimiter(t), time.Minute, nil)
				got, err := d.ReadInventory(t.Context(), func(defender.Machine) bool { return true })
				if err != nil || len(got.Records) != c.seen || got.Onboarded != c.seen {
					t.Errorf("%d records, %d onboarded, %v; want %d", len(got.Records), got.Onboarded, err, c.seen)
				}
			})
		})
	}
}

// TestInventoryOfAFleet: 25,000 machines are read in three calls.
func TestInventoryOfAFleet(t *testing.T) {
	t.Parallel()
	list := &slidingInventory{}
	for i := range 25_000 {
		list.rows = append(list.rows, defender.Machine{ID: id(i), OnboardingStatus: defender.Onboarded})
	}
	d := runner.NewDirectory(list, newLimiter(t), time.Minute, nil)
	got, err := d.ReadInventory(t.Context(), func(m defender.Machine) bool { return m.ID == id(24_999) })
	if err != nil || got.Onboarded != 25_000 || len(got.Records) != 1 || list.calls != 3 {
		t.Errorf("%d onboarded, %d kept, %d calls, %v", got.Onboarded, len(got.Records), list.calls, err)
	}
}

// slidingInventory changes after its first page.
type slidingInventory struct {
	runner.Lists

	rows           []defender.Machine
	vanish, appear int
	calls          int
}

func (s *slidingInventory) Machines(_ context.Context, _ defender.MachineFilter, p defender.Page) (defender.MachinePage, error) {
	s.calls++
	from := min(p.Skip, len(s.rows))
	page := s.rows[from:min(from+p.Top, len(s.rows))]
	if p.Skip == 0 {
		came := make([]defender.Machine, s.appear)
		for i := range came { // they were read already, and are read again
			came[i] = s.rows[i]
		}
		s.rows = append(came, s.rows[s.vanish:]...)
	}
	return defender.MachinePage{Items: page, Received: len(page)}, nil
}
