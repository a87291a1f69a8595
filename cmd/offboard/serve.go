package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"offboard/internal/dashboard"
	"offboard/journal"
)

// serveStatus serves the page of a campaign that no process works at, until it is
// interrupted. It keeps no run from beginning: the journal is open only while it is
// read.
func (a *app) serveStatus(ctx context.Context, f *statusFlags) error {
	source, err := a.readShown(&f.offlineFlags)
	if errors.Is(err, journal.ErrLocked) {
		return &commandError{code: exitLocked, err: err, hint: "a run is at work: 'offboard status --watch' asks it, and 'offboard run --dashboard' serves its page"}
	}
	if err != nil {
		return err
	}
	l, err := f.page.listen(ctx)
	if err != nil {
		return err
	}
	page := dashboard.Serve(l, source, dashboard.Options{
		Host: f.page.host(), States: stateNames(), Samples: source.samples,
		Why: "Read from the journal at " + instant(time.Now()) + "; no run is shown.",
	})
	a.tellPage(&f.page, page, l)
	<-ctx.Done()
	return page.Close()
}

// shownJournal is a [dashboard.Source] of a campaign as its journal had it when the
// page began. The machines are read when they are asked for.
type shownJournal struct {
	app     *app
	flags   *offlineFlags
	shown   shown
	columns []string
	samples []dashboard.Sample
}

func (a *app) readShown(f *offlineFlags) (*shownJournal, error) {
	j, err := a.openOffline(f, journal.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer j.Close()
	c, err := chooseCampaign(j, f.campaign, unfinished...)
	if err != nil {
		return nil, err
	}
	r, _, err := resultOf(j, c)
	if err != nil {
		return nil, err
	}
	history, err := readHistory(j, c.Info().Name)
	if err != nil {
		return nil, err
	}
	f.journal, f.campaign = j.Path(), c.Info().Name // whatever is there later
	s := &shownJournal{app: a, flags: f, columns: c.Columns(), samples: history.calls.samples()}
	s.shown = shown{result: r, Kind: pageOfJournal, Notes: []note{}}
	last, err := lastRunOf(c.Info())
	if last != nil {
		s.shown.Limits = last.Terms.Limits
	}
	return s, err
}

// samples are what a page would have shown at the end of every minute of the clock:
// the campaign's calls in that minute and in the hour that it ends, as they are on
// record.
func (c *callCounter) samples() (all []dashboard.Sample) {
	minutes := c.reported().PerMinute
	hour, first, throttled := 0, 0, int64(0)
	for i, m := range minutes {
		hour += m.Calls
		throttled += int64(m.Throttled)
		for m.At.Sub(minutes[first].At) >= time.Hour {
			hour -= minutes[first].Calls
			first++
		}
		all = append(all, dashboard.Sample{At: m.At, Used: []int{m.Calls, hour}, Throttled: throttled})
		if i+1 < len(minutes) && minutes[i+1].At.Sub(m.At) > time.Minute {
			all = append(all, dashboard.Sample{At: m.At.Add(time.Minute), Used: []int{0, hour}, Throttled: throttled})
		}
	}
	return all
}

// read opens the journal for a moment.
func (s *shownJournal) read(with func(*journal.Campaign) error) error {
	j, err := s.app.openOffline(s.flags, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	c, err := j.Campaign(s.flags.campaign)
	if err != nil {
		return err
	}
	return with(c)
}

// Snapshot is part of [dashboard.Source].
func (s *shownJournal) Snapshot() (any, error) { return s.shown, nil }

// Sample is part of [dashboard.Source].
func (s *shownJournal) Sample() (dashboard.Sample, bool) { return dashboard.Sample{}, false }

// Columns is part of [dashboard.Source].
func (s *shownJournal) Columns() []string { return s.columns }

// Machines is part of [dashboard.Source].
func (s *shownJournal) Machines() iter.Seq2[dashboard.Machine, error] {
	return func(yield func(dashboard.Machine, error) bool) {
		err := s.read(func(c *journal.Campaign) error {
			for m, err := range shownMachines(c, s.columns) {
				if err != nil {
					return err
				}
				if !yield(m, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(dashboard.Machine{}, err)
		}
	}
}

// Page is part of [dashboard.Source].
func (s *shownJournal) Page(ids []string) (page []dashboard.Machine, err error) {
	err = s.read(func(c *journal.Campaign) error {
		page, err = shownPage(c, s.columns, ids)
		return err
	})
	return page, err
}
