package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"offboard/journal"
)

// history is what the journal's log tells of a campaign beside how its machines
// stand now.
type history struct {
	campaign string
	calls    callCounter
	finals   map[string]time.Time // when each machine came to its end

	runs                     []reportedRun
	overrides                []override
	verdicts, authorisations []spoken
	waves                    waveRules // as the last event has them
}

func readHistory(j *journal.Journal, campaign string) (*history, error) {
	h := &history{campaign: campaign, calls: newCallCounter(campaign), finals: map[string]time.Time{}}
	for e, err := range j.Events() {
		if err != nil {
			return nil, err
		}
		h.calls.take(e)
		if e.Campaign != campaign {
			continue
		}
		h.machine(e)
		if e.Info == nil {
			continue
		}
		if err := h.change(e); err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Seq, err)
		}
	}
	return h, nil
}

// machine takes in what an event says of a machine.
func (h *history) machine(e journal.Event) {
	if e.MachineID == "" {
		return
	}
	switch {
	case e.To.Final() && e.From != e.To:
		h.finals[e.MachineID] = e.Time
	case !e.To.Final():
		delete(h.finals, e.MachineID)
	}
	word := func() spoken {
		return spoken{MachineID: e.MachineID, At: e.Time, By: e.Operator, Reason: e.Reason, From: e.From.String(), To: e.To.String()}
	}
	switch e.Kind {
	case journal.KindVerdict:
		h.verdicts = append(h.verdicts, word())
	case journal.KindAuthorised:
		h.authorisations = append(h.authorisations, word())
	default: // nobody's word
	}
}

// change takes in a campaign's record as it was from this event on: the accounts of
// its runs, and who let its waves begin.
func (h *history) change(e journal.Event) error {
	if err := h.run(e); err != nil {
		return err
	}
	agreed, err := rulesOf(*e.Info)
	if err != nil || agreed.Waves == nil {
		return err
	}
	now, before := agreed.Waves.Progress, h.waves.Progress
	if now.ApprovedAt.After(before.ApprovedAt) {
		h.overrides = append(h.overrides, override{now.ApprovedAt, now.ApprovedBy, fmt.Sprintf("--approve-wave %d", now.Approved)})
	}
	h.waves = *agreed.Waves
	return nil
}

// run takes in the account of a run: one at its beginning, and one at its end.
func (h *history) run(e journal.Event) error {
	last, err := lastRunOf(*e.Info)
	if last == nil {
		return err
	}
	r := reportedRun{By: e.Operator, lastRun: *last}
	if n := len(h.runs); n > 0 && h.runs[n-1].StartedAt.Equal(r.StartedAt) {
		r.By = h.runs[n-1].By // later events of it may be somebody else's
		h.runs[n-1] = r
		return nil
	}
	h.runs = append(h.runs, r)
	for _, what := range r.Terms.Overrides {
		h.overrides = append(h.overrides, override{r.StartedAt, r.By, what})
	}
	return nil
}

// tell puts the history into a report. A campaign of an older version has no
// accounts of what its runs were given; its rules still tell.
func (h *history) tell(r *campaignReport, agreed rules) {
	r.Runs, r.Calls = append([]reportedRun{}, h.runs...), h.calls.reported()
	r.Verdicts, r.Authorisations = append([]spoken{}, h.verdicts...), append([]spoken{}, h.authorisations...)
	for what, given := range map[string]bool{
		"--include-servers": agreed.IncludeServers, "--include-not-onboarded": agreed.IncludeNotOnboarded, "--new-journal": agreed.NewJournal,
	} {
		told := slices.ContainsFunc(h.overrides, func(o override) bool { return o.What == what })
		if given && !told {
			h.overrides = append(h.overrides, override{r.CreatedAt, r.CreatedBy, what})
		}
	}
	slices.SortFunc(h.overrides, func(a, b override) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.What, b.What))
	})
	r.Overrides, r.Excludes = append([]override{}, h.overrides...), []planSource{}
	for _, run := range h.runs {
		if len(run.Terms.Excludes) > 0 {
			r.Excludes = run.Terms.Excludes
		}
	}
	for _, path := range agreed.Exclude {
		if !slices.ContainsFunc(r.Excludes, func(f planSource) bool { return f.Path == path }) {
			r.Excludes = append(r.Excludes, planSource{Path: path})
		}
	}
	if n := len(h.runs); n > 0 {
		r.Calls.limit(h.runs[n-1].Terms)
	}
}
