package main

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"offboard/internal/dashboard"
	"offboard/journal"
	"offboard/runner"
)

// What a page shows: a run, the following of its machines, or a journal alone.
const (
	pageOfRun     = "run"
	pageOfFollow  = "follow"
	pageOfJournal = "journal"
)

// shown is the campaign as the page is told of it: the campaign object, and what
// else there is to see.
type shown struct {
	result
	Kind   string     `json:"kind"`
	Notes  []note     `json:"notes"`  // the last ones, the newest last
	Limits []runLimit `json:"limits"` // of the last run, where no call is made
}

// note is a wait or a refusal in a line.
type note struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// notesKept is how many of the last notes are shown.
const notesKept = 50

// shownRun is a [dashboard.Source] of the campaign that this process works at.
type shownRun struct {
	*session
	campaign *journal.Campaign
	kind     string
	columns  []string

	mu    sync.Mutex
	notes []note
}

func newShownRun(s *session, c *journal.Campaign, kind string) *shownRun {
	return &shownRun{session: s, campaign: c, kind: kind, columns: c.Columns(), notes: []note{}}
}

// note keeps what an event says of waits and refusals.
func (r *shownRun) note(e runner.Event) {
	text := noted(e)
	if text == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(slices.Clone(r.notes[max(0, len(r.notes)-notesKept+1):]), note{time.Now().UTC(), text})
}

func noted(e runner.Event) string {
	wait := e.Wait.Round(time.Second)
	switch e.Kind {
	case runner.EventThrottled:
		return fmt.Sprintf("Answered 429: nothing is sent for %s.", wait)
	case runner.EventPaused:
		return fmt.Sprintf("All wait %s: %v", wait, e.Err)
	case runner.EventHeld:
		return "Paused."
	case runner.EventReleased:
		return "Going on."
	case runner.EventLeftInDoubt, runner.EventSkipped:
		return fmt.Sprintf("%s: %v", e.MachineID, e.Err)
	case runner.EventWaveBegun:
		return fmt.Sprintf("Wave %d of %d begins.", e.Wave, e.Waves)
	case runner.EventWaveEnded:
		return fmt.Sprintf("Wave %d of %d has been sent.", e.Wave, e.Waves)
	case runner.EventWaveWaiting:
		return fmt.Sprintf("Wave %d of %d waits: %s", e.Wave, e.Waves, e.Reason)
	case runner.EventFollowed:
		return fmt.Sprintf("%s not ended; the next look in %s.", plural(e.Count, "action"), wait)
	case runner.EventOutcome, runner.EventCancelAnswered:
		if e.Err != nil {
			return fmt.Sprintf("%s is %s: %v", e.MachineID, strings.ReplaceAll(e.State.String(), "_", " "), e.Err)
		}
	default:
	}
	return ""
}

// Snapshot is part of [dashboard.Source].
func (r *shownRun) Snapshot() (any, error) {
	status, err := r.live.status("")
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return shown{result: status, Kind: r.kind, Notes: r.notes}, nil
}

// Sample is part of [dashboard.Source].
func (r *shownRun) Sample() (dashboard.Sample, bool) { return r.live.sample() }

// Columns is part of [dashboard.Source].
func (r *shownRun) Columns() []string { return r.columns }

// Machines is part of [dashboard.Source].
func (r *shownRun) Machines() iter.Seq2[dashboard.Machine, error] {
	return shownMachines(r.campaign, r.columns)
}

// Page is part of [dashboard.Source].
func (r *shownRun) Page(ids []string) ([]dashboard.Machine, error) {
	return shownPage(r.campaign, r.columns, ids)
}

// sample measures the quotas while machines are sent.
func (l *live) sample() (dashboard.Sample, bool) {
	l.mu.Lock()
	sending := l.runner
	l.mu.Unlock()
	if sending == nil {
		return dashboard.Sample{}, false
	}
	s := dashboard.Sample{At: time.Now().UTC(), Throttled: sending.Summary().Throttled}
	for _, q := range l.session.calls.Status().Quotas {
		s.Used = append(s.Used, q.Used)
	}
	return s, true
}

func shownMachines(c *journal.Campaign, columns []string) iter.Seq2[dashboard.Machine, error] {
	return func(yield func(dashboard.Machine, error) bool) {
		for e, err := range c.Entries() {
			if !yield(shownMachine(e, columns), err) || err != nil {
				return
			}
		}
	}
}

func shownPage(c *journal.Campaign, columns, ids []string) ([]dashboard.Machine, error) {
	page := make([]dashboard.Machine, len(ids))
	for i, id := range ids {
		e, err := c.Entry(id)
		if err != nil {
			return nil, err
		}
		page[i] = shownMachine(e, columns)
	}
	return page, nil
}

func shownMachine(e journal.Entry, columns []string) dashboard.Machine {
	m := dashboard.Machine{
		ID: e.MachineID, Name: e.Name, Row: e.Row, State: e.State.String(), Attempts: e.Attempts,
		ActionID: e.ActionID, Error: whatIsWrong(e), Updated: e.Updated, Carried: make([]string, len(columns)),
	}
	for i, column := range columns {
		m.Carried[i] = e.Carried[column]
	}
	return m
}

// whatIsWrong says why a machine stands as nobody wanted it to.
func whatIsWrong(e journal.Entry) string {
	switch {
	case e.SettledBy != "":
		return "sent by campaign " + e.SettledBy
	case e.State == journal.Excluded:
		return cmp.Or(e.Reason, "left out")
	case e.Failure == nil || e.State == journal.Accepted || e.State == journal.Succeeded:
		return ""
	case e.Failure.Code == "":
		return cmp.Or(e.Failure.Message, string(e.Failure.Reason))
	}
	return e.Failure.Code + ": " + e.Failure.Message
}
