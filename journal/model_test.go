package journal_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"offboard/journal"
)

// model is what the journal should hold: the same rules over maps.
type model struct {
	path      string
	j         *journal.Journal
	campaigns []string
	records   map[string]map[int]*modelRecord // by campaign and machine
}

type modelRecord struct {
	state              journal.State
	attempts, notFound int
	out                bool // by the newest list
}

// move makes a record go on to a state, and from there to excluded when nothing
// holds it in a campaign whose list leaves it out.
func (r *modelRecord) move(to journal.State) {
	if r.state = to; to == journal.Planned && r.out {
		r.state = journal.Excluded
	}
}

const modelMachines = 6

// TestModel does random things, among them closing and opening again, to a
// journal and to the model, and compares what both say after each.
func TestModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &model{path: filepath.Join(dir, fmt.Sprint(run)), records: map[string]map[int]*modelRecord{}}
		m.open(t)
		defer func() {
			_ = m.j.Close()
			_ = os.Remove(m.path)
		}()
		t.Repeat(map[string]func(*rapid.T){
			"":        m.compare,
			"start":   m.start,
			"enlist":  m.enlist,
			"operate": m.operate,
			"recover": m.recover,
			"reopen": func(t *rapid.T) {
				if err := m.j.Close(); err != nil {
					t.Fatal(err)
				}
				m.open(t)
			},
		})
		if _, err := m.j.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func (m *model) open(t *rapid.T) {
	var err error
	if m.j, err = journal.Open(m.path, contoso, journal.Options{}); err != nil {
		t.Fatal(err)
	}
}

func (m *model) start(t *rapid.T) {
	if len(m.campaigns) == 3 {
		t.Skip("enough campaigns")
	}
	name := fmt.Sprint("campaign ", len(m.campaigns))
	if _, err := m.j.StartCampaign(journal.Info{Name: name}); err != nil {
		t.Fatal(err)
	}
	m.campaigns = append(m.campaigns, name)
	m.records[name] = map[int]*modelRecord{}
}

func (m *model) campaign(t *rapid.T) *journal.Campaign {
	if len(m.campaigns) == 0 {
		t.Skip("no campaign")
	}
	c, err := m.j.Campaign(rapid.SampledFrom(m.campaigns).Draw(t, "campaign"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *model) enlist(t *rapid.T) {
	c := m.campaign(t)
	listed := rapid.SliceOfDistinct(rapid.IntRange(0, modelMachines-1), rapid.ID).Draw(t, "list")
	excluded := rapid.SliceOfDistinct(rapid.IntRange(0, modelMachines-1), rapid.ID).Draw(t, "excluded")
	var list []journal.Machine
	for _, n := range listed {
		machine := journal.Machine{ID: id(n)}
		if slices.Contains(excluded, n) {
			machine.Exclude = "excluded"
		}
		list = append(list, machine)
	}
	if _, err := c.Enlist(enlistment(list)); err != nil {
		t.Fatal(err)
	}
	records := m.records[c.Info().Name]
	for n := range modelMachines {
		r := records[n]
		out := !slices.Contains(listed, n) || slices.Contains(excluded, n)
		switch {
		case r == nil && !slices.Contains(listed, n):
		case r == nil:
			records[n] = &modelRecord{out: out}
			records[n].move(journal.Planned)
		case r.state == journal.Planned || r.state == journal.Excluded:
			r.out = out
			r.move(journal.Planned)
		default:
			r.out = out
		}
	}
}

func (m *model) operate(t *rapid.T) {
	c := m.campaign(t)
	n := rapid.IntRange(0, modelMachines-1).Draw(t, "machine")
	r := m.records[c.Info().Name][n]
	tried := operations
	// Half of the time one that leads on, or else few machines get far.
	if r != nil && rapid.Bool().Draw(t, "leads on") {
		tried = slices.DeleteFunc(slices.Clone(tried), func(o operation) bool { return o.leads[r.state] == 0 })
	}
	if len(tried) == 0 {
		t.Skip("nothing leads on from ", r.state)
	}
	op := tried[rapid.IntRange(0, len(tried)-1).Draw(t, "operation")]
	possible := r != nil
	var to journal.State
	if possible {
		to, possible = op.leads[r.state]
	}
	if possible && r.state == journal.Planned {
		possible = m.holder(c.Info().Name, n) == ""
	}
	if err := operate(c, id(n), op.name); (err == nil) != possible {
		t.Fatalf("%s machine %d: %v, by the model possible: %v", op.name, n, err, possible)
	}
	if possible {
		r.move(to)
		if op.name == "begin" {
			r.attempts++
		}
	}
}

func (m *model) recover(t *rapid.T) {
	entries, err := m.j.Recover()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, records := range m.records {
		for _, r := range records {
			if r.state == journal.Sending {
				r.state = journal.InDoubt
				n++
			}
		}
	}
	if len(entries) != n {
		t.Fatalf("recovered %d machines, want %d", len(entries), n)
	}
}

// holder returns the other campaign that holds a live record of the machine.
func (m *model) holder(campaign string, n int) string {
	for name, records := range m.records {
		if r := records[n]; name != campaign && r != nil && r.state.Live() {
			return name
		}
	}
	return ""
}

func (m *model) compare(t *rapid.T) {
	for name, records := range m.records {
		c, err := m.j.Campaign(name)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		states := map[journal.State]int{}
		for n, r := range records {
			state, by := r.state, ""
			if state == journal.Planned {
				if by = m.holder(name, n); by != "" {
					state = m.records[by][n].state
				}
			}
			want[id(n)] = fmt.Sprint(state, by, r.attempts, r.notFound)
			states[state]++
		}
		m.compareCampaign(t, c, want, states)
	}
}

func (m *model) compareCampaign(t *rapid.T, c *journal.Campaign, want map[string]string, states map[journal.State]int) {
	got := map[string]string{}
	for s, err := range c.Standing() {
		if err != nil {
			t.Fatal(err)
		}
		got[s.MachineID] = fmt.Sprint(s.State, s.SettledBy, s.Attempts, s.NotFound)
	}
	if !maps.Equal(got, want) {
		t.Fatalf("campaign %s\n got %v\nwant %v", c.Info().Name, got, want)
	}
	clear(got)
	for e, err := range c.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		got[e.MachineID] = fmt.Sprint(e.State, e.SettledBy, e.Attempts, e.NotFound)
	}
	if !maps.Equal(got, want) {
		t.Fatalf("campaign %s entries\n got %v\nwant %v", c.Info().Name, got, want)
	}
	counts, err := c.Counts()
	if err != nil || counts.Total() != len(want) {
		t.Fatalf("counts %+v, %v", counts, err)
	}
	for _, s := range journal.States() {
		if counts.Of(s) != states[s] {
			t.Fatalf("%d machines %s, want %d", counts.Of(s), s, states[s])
		}
	}
}
