package main

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// divide gives the machines of a list their places in the campaign's waves.
func (p *plan) divide(list *input.List) error {
	w := p.rules.Waves
	if w == nil {
		return nil
	}
	if w.UntilSucceeded > 0 && p.blind {
		return unreadable(fmt.Errorf("%w: the tenant may not be listed", runner.ErrInventoryUnread), "--wave-until-succeeded")
	}
	p.rows = map[string]int{}
	if p.existing != nil && p.existing.Info().List != (journal.ListInfo{}) {
		return p.keepPlaces(list)
	}
	// A list that was not taken to its end has sent nothing: it is divided anew.
	w.Waves, w.Progress = nil, runner.WaveProgress{}
	if w.Column != "" {
		return p.divideByColumn(list)
	}
	return p.divideBySize(list)
}

// keepPlaces has every machine stay where the first list put it. It takes no new
// one: the wave of that one may be over.
func (p *plan) keepPlaces(list *input.List) error {
	last := 0
	for st, err := range p.existing.Standing() {
		if err != nil {
			return err
		}
		p.rows[st.MachineID] = st.Row
		last = max(last, st.Row)
	}
	var fresh []input.BadRow
	for m := range list.Machines.All() {
		if p.rows[m.ID] == 0 {
			fresh = append(fresh, input.BadRow{File: list.Path, Line: m.Line, Reason: "new to a campaign that was divided into waves"})
		}
	}
	if len(fresh) > 0 {
		return badRows(list, fresh, "start another campaign for the new machines; nothing was sent")
	}
	for _, m := range p.leftOut {
		if p.rows[m.ID] == 0 {
			last++
			p.rows[m.ID] = last
		}
	}
	return nil
}

func badRows(list *input.List, bad []input.BadRow, hint string) error {
	return &commandError{code: exitUsage, hint: hint, err: &input.BadRowsError{
		File: list.Path, Rows: bad[:min(len(bad), input.MaxReported)], Total: len(bad),
	}}
}

// divideBySize cuts the list where so many machines would have been sent. What
// is left out comes behind all others; but a machine that has drifted from a plan
// leaves a gap in its wave, which no other fills.
func (p *plan) divideBySize(list *input.List) error {
	w := p.rules.Waves
	sizes, err := runner.ParseWaves(w.Sizes)
	if err != nil {
		return err
	}
	divided := p.send
	if p.agreed.Len() > 0 {
		divided = p.agreed
	}
	p.place(p.agreed.All())
	p.place(list.Machines.All())
	p.place(p.omittedMachines())
	w.Waves = []wave{{"1", math.MaxInt32}} // of a list of which nothing is sent
	if divided.Len() == 0 {
		return nil
	}
	ends, err := runner.Divide(sizes, divided.Len())
	if err != nil {
		return usageError("--waves %s: %w", w.Sizes, err)
	}
	w.Waves = nil
	for i, end := range ends {
		w.Waves = append(w.Waves, wave{fmt.Sprint(i + 1), p.rows[divided.At(end-1).ID]})
	}
	return nil
}

// place puts machines behind those that have their place.
func (p *plan) place(machines iter.Seq[input.Machine]) {
	for m := range machines {
		if p.rows[m.ID] == 0 {
			p.rows[m.ID] = len(p.rows) + 1
		}
	}
}

func (p *plan) omittedMachines() iter.Seq[input.Machine] {
	return func(yield func(input.Machine) bool) {
		for _, m := range p.leftOut {
			if !yield(m.Machine) {
				return
			}
		}
	}
}

// divideByColumn puts the machines of each value of the column together. One that
// is not sent and names no wave comes with the last.
func (p *plan) divideByColumn(list *input.List) error {
	w := p.rules.Waves
	if !list.HasColumn(w.Column) {
		return usageError("--wave-column %s: the list has no such column; it has %s", w.Column, strings.Join(list.Columns, ", "))
	}
	value := func(m input.Machine) string { return strings.TrimSpace(list.Value(m, w.Column)) }
	names, err := p.namedWaves(list, value)
	if err != nil {
		return err
	}
	all := slices.AppendSeq(slices.Collect(list.Machines.All()), p.omittedMachines())
	wave0 := func(m input.Machine) int {
		if i := slices.Index(names, value(m)); i >= 0 {
			return i
		}
		return len(names) - 1
	}
	slices.SortStableFunc(all, func(a, b input.Machine) int { return cmp.Compare(wave0(a), wave0(b)) })
	p.place(slices.Values(all))
	for i, name := range names {
		last := math.MaxInt32
		if next := slices.IndexFunc(all, func(m input.Machine) bool { return wave0(m) > i }); next >= 0 {
			last = p.rows[all[next].ID] - 1
		}
		w.Waves = append(w.Waves, wave{name, last})
	}
	return nil
}

// namedWaves are the waves that the machines to send name, in their order. All
// have to name one.
func (p *plan) namedWaves(list *input.List, value func(input.Machine) string) ([]string, error) {
	machines := list.Machines
	if p.agreed.Len() > 0 {
		machines = p.agreed
	}
	var sent input.IDs
	for _, all := range []input.Machines{p.send, p.agreed} {
		for m := range all.All() {
			sent.Add(m.ID)
		}
	}
	for _, k := range p.doubted {
		sent.Add(k.MachineID)
	}
	var values []string
	var bad []input.BadRow
	for m := range machines.All() {
		switch v := value(m); {
		case !sent.Has(m.ID):
		case v == "":
			bad = append(bad, input.BadRow{File: list.Path, Line: m.Line, Column: p.rules.Waves.Column, Reason: "names no wave"})
		default:
			values = append(values, v)
		}
	}
	if len(bad) > 0 {
		return nil, badRows(list, bad, "give every machine a wave; nothing was sent")
	}
	if len(values) == 0 {
		return []string{"1"}, nil // nothing is sent
	}
	return runner.WaveNames(values), nil
}

// plannedWave is a wave as it would be sent.
type plannedWave struct {
	Wave     int       `json:"wave"`
	Name     string    `json:"name"`
	Machines int       `json:"machines"`
	EndsAt   time.Time `json:"ends_at"`
}

// planned are the waves with the machines that would be sent.
func (p plan) planned() []plannedWave {
	if p.rules.Waves == nil {
		return nil
	}
	var all []plannedWave
	for i, w := range p.rules.Waves.Waves {
		all = append(all, plannedWave{Wave: i + 1, Name: w.Name})
	}
	last := p.rules.Waves.last()
	for m := range p.send.All() {
		all[runner.WaveOf(last, p.rows[m.ID])-1].Machines++
	}
	return all
}

// forecast says when each wave ends at the earliest, given how long so many calls
// take.
func (p plan) forecast(takes func(calls int) time.Duration, now time.Time) []plannedWave {
	waves, calls, end := p.planned(), 0, now
	for i := range waves {
		calls += waves[i].Machines
		if i > 0 {
			end = end.Add(time.Duration(p.rules.Waves.Pause))
		}
		if quota := now.Add(takes(calls)); quota.After(end) {
			end = quota
		}
		waves[i].EndsAt = end.UTC().Truncate(time.Second)
	}
	return waves
}

// showWaves says what is about to be confirmed.
func (a *app) showWaves(p plan) {
	for _, w := range p.planned() {
		a.log.Info().Int("wave", w.Wave).Str("name", w.Name).Int("machines", w.Machines).Msg("planned")
	}
}
