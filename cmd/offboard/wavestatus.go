package main

import (
	"fmt"
	"slices"
	"time"

	"offboard/journal"
	"offboard/runner"
)

// wavesResult is how the waves of a campaign stand.
type wavesResult struct {
	Of         int          `json:"of"`
	Open       int          `json:"open"` // of them; 0 before the first run
	EndedAt    *time.Time   `json:"ended_at"`
	NextAt     *time.Time   `json:"next_at"` // the next begins at the earliest; null unless one is waited for
	WaitingFor []string     `json:"waiting_for"`
	Approved   int          `json:"approved,omitempty"`
	ApprovedBy string       `json:"approved_by,omitempty"`
	Waves      []waveResult `json:"waves"`
}

type waveResult struct {
	Wave       int        `json:"wave"`
	Name       string     `json:"name"`
	Machines   int        `json:"machines"`
	Planned    int        `json:"planned"`
	Rejected   int        `json:"rejected"`
	ReleasedAt *time.Time `json:"released_at"`
	ReleasedBy string     `json:"released_by,omitempty"`
	Reason     string     `json:"reason,omitempty"`
}

// wavesOf describes a campaign's waves; nil without any.
func wavesOf(c *journal.Campaign, w *waveRules) (*wavesResult, error) {
	if w == nil || len(w.Waves) == 0 {
		return nil, nil //nolint:nilnil // no waves
	}
	p := w.Progress
	r := &wavesResult{Of: len(w.Waves), Open: p.Open, Approved: p.Approved, ApprovedBy: p.ApprovedBy, WaitingFor: []string{}}
	for i, one := range w.Waves {
		r.Waves = append(r.Waves, waveResult{Wave: i + 1, Name: one.Name})
	}
	for _, release := range p.Releases {
		one := &r.Waves[release.Wave-1]
		one.ReleasedAt, one.ReleasedBy, one.Reason = &release.At, release.By, release.Why
	}
	if !p.Ended.IsZero() {
		r.EndedAt = &p.Ended
		r.await(w)
	}
	return r, r.count(c, w.last())
}

// await says what the next wave is waiting for.
func (r *wavesResult) await(w *waveRules) {
	if r.Open == r.Of || r.Approved > r.Open {
		return
	}
	next := r.EndedAt.Add(time.Duration(w.Pause))
	r.NextAt = &next
	if w.Pause > 0 {
		r.WaitingFor = append(r.WaitingFor, "pause")
	}
	if w.UntilSucceeded > 0 {
		r.WaitingFor = append(r.WaitingFor, "succeeded")
	}
	if w.Confirm {
		r.WaitingFor = append(r.WaitingFor, "confirmation")
	}
}

func (r *wavesResult) count(c *journal.Campaign, last []int) error {
	for st, err := range c.Standing() {
		if err != nil {
			return err
		}
		one := &r.Waves[runner.WaveOf(last, st.Row)-1]
		switch st.State {
		case journal.Excluded:
			continue
		case journal.Planned:
			one.Planned++
		case journal.Rejected:
			one.Rejected++
		default: // counted as the campaign's
		}
		one.Machines++
	}
	return nil
}

// unconfirmed is the wave that waits for a person, 0 for none.
func (r *wavesResult) unconfirmed() int {
	if slices.Contains(r.WaitingFor, "confirmation") {
		return r.Open + 1
	}
	return 0
}

func (r *wavesResult) words() string {
	s := fmt.Sprintf("Wave %d of %d", max(r.Open, 1), r.Of)
	switch {
	case r.EndedAt == nil:
		return s + " has not ended."
	case r.NextAt == nil:
		return s + " has ended."
	}
	s += fmt.Sprintf(" has ended; wave %d begins not before %s", r.Open+1, r.NextAt.UTC().Format(time.RFC3339))
	if r.unconfirmed() > 0 {
		s += fmt.Sprintf(", and when somebody confirms it, on a terminal or by 'offboard resume --approve-wave %d'", r.Open+1)
	}
	return s + "."
}
