package journal_test

import (
	"cmp"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"offboard/journal"
)

func (m *model) start(t *rapid.T) step {
	if len(m.campaigns) == 3 {
		t.Skip("enough campaigns")
	}
	name := fmt.Sprint("campaign ", len(m.campaigns))
	return step{
		possible: true,
		do: func() error {
			_, err := m.j.StartCampaign(journal.Info{Name: name})
			return err
		},
		apply: func() {
			m.campaigns = append(m.campaigns, name)
			m.records[name] = map[int]*modelRecord{}
		},
	}
}

// in does something with a campaign of the journal that is open then.
func (m *model) in(name string, do func(*journal.Campaign) error) func() error {
	return func() error {
		c, err := m.j.Campaign(name)
		if err != nil {
			return err
		}
		return do(c)
	}
}

func (m *model) campaign(t *rapid.T) string {
	if len(m.campaigns) == 0 {
		t.Skip("no campaign")
	}
	return rapid.SampledFrom(m.campaigns).Draw(t, "campaign")
}

func (m *model) enlist(t *rapid.T) step {
	name := m.campaign(t)
	listed := rapid.SliceOfDistinct(rapid.IntRange(0, modelMachines-1), rapid.ID).Draw(t, "list")
	excluded := rapid.SliceOfDistinct(rapid.IntRange(0, modelMachines-1), rapid.ID).Draw(t, "excluded")
	var list []journal.Machine
	rows := map[int]int{}
	for i, n := range listed {
		machine := journal.Machine{ID: id(n), Row: rapid.IntRange(0, 9).Draw(t, "row")}
		rows[n] = cmp.Or(machine.Row, i+1)
		if slices.Contains(excluded, n) {
			machine.Exclude = "excluded"
		}
		list = append(list, machine)
	}
	return step{
		possible: true, pieces: true,
		do: m.in(name, func(c *journal.Campaign) error {
			_, err := c.Enlist(enlistment(list))
			return err
		}),
		apply: func() { m.list(name, rows, excluded) },
	}
}

// list takes a list in, of which rows has the places by machine.
func (m *model) list(name string, rows map[int]int, excluded []int) {
	records := m.records[name]
	for n := range modelMachines {
		r := records[n]
		row, listed := rows[n]
		out := !listed || slices.Contains(excluded, n)
		switch {
		case r == nil && !listed:
		case r == nil:
			records[n] = &modelRecord{out: out, row: row}
			records[n].move(journal.Planned)
		case r.state == journal.Planned || r.state == journal.Excluded:
			if r.state == journal.Excluded && !out && r.holds(name) {
				continue // another campaign has taken over
			}
			r.out = out
			r.row = cmp.Or(row, r.row)
			r.move(journal.Planned)
		default:
			r.out = out
		}
	}
}

func (m *model) operate(t *rapid.T) step {
	name := m.campaign(t)
	n := rapid.IntRange(0, modelMachines-1).Draw(t, "machine")
	r := m.records[name][n]
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
	again := op.name == "authorise again"
	switch authorises := again || op.name == "authorise"; {
	case !possible:
	case authorises:
		possible = m.mayAuthorise(name, n, again)
	case r.state == journal.Planned:
		possible = m.holder(name, n) == ""
	}
	if answer, ok := cancelAnswers[op.name]; possible && ok {
		possible = r.ours && (answer == "asked" || r.cancel != "")
	}
	return step{
		possible: possible,
		do:       m.in(name, func(c *journal.Campaign) error { return operate(c, id(n), op.name) }),
		apply: func() {
			if again || op.name == "authorise" {
				m.authorise(name, n)
			}
			m.judge(t, name, n, op.name, to)
			r.move(to)
			r.take(op.name)
			if op.name == "begin" {
				r.attempts++
			}
		},
	}
}

// cancelAnswers is what the operations of a cancellation leave behind.
var cancelAnswers = map[string]journal.CancelAnswer{
	"cancelling": "asked", "cancel taken": journal.CancelTaken, "cancel done": journal.CancelTaken,
	"cancel refused": journal.CancelNotTaken, "cancel doubted": journal.CancelUnknown,
}

// take notes whose action a machine has, and how its cancellation stands.
func (r *modelRecord) take(op string) {
	switch op {
	case "accept", "accept failed":
		r.ours = true
	case "adopt", "adopt succeeded", "verdict applied":
		r.ours = false
	case "begin":
		r.cancel = ""
	}
	if answer, ok := cancelAnswers[op]; ok {
		r.cancel = answer
	}
}

// judge holds what happened against the promise itself, whatever the rules are: after
// a success nothing is sent but by the campaign for which a person said so since.
func (m *model) judge(t *rapid.T, campaign string, n int, op string, to journal.State) {
	word := m.words[n]
	switch {
	case word != nil && op == "begin" && *word != campaign:
		t.Fatalf("campaign %s sends machine %d after a success; the word is for %q", campaign, n, *word)
	case to == journal.Succeeded:
		m.words[n] = new(string)
	case word != nil && op == "authorise again":
		*word = campaign
	}
}

// mayAuthorise says whether no other campaign holds the machine, or only by a success
// that the person knows of and that nobody else is about to pass.
func (m *model) mayAuthorise(campaign string, n int, again bool) bool {
	for name, records := range m.records {
		r := records[n]
		if r == nil || !r.holds(campaign) || name == campaign && r.state == journal.Succeeded {
			continue
		}
		if live := r.state.Live() && r.state != journal.Succeeded; live || !again || name != campaign && r.state == journal.Planned {
			return false
		}
	}
	return true
}

func (m *model) authorise(campaign string, n int) {
	for name, records := range m.records {
		r := records[n]
		if r == nil || name != campaign && !r.holds(campaign) {
			continue
		}
		if r.state == journal.Succeeded || r.passed != "" {
			r.passed = campaign
		}
	}
	r := m.records[campaign][n]
	r.authorised++
	r.out = false // or else it were excluded
}

func (m *model) recover() step {
	return step{
		possible: true,
		do: func() error {
			entries, err := m.j.Recover()
			if err == nil && len(entries) != len(m.sending()) {
				err = fmt.Errorf("recovered %d machines, want %d", len(entries), len(m.sending()))
			}
			return err
		},
		apply: func() {
			for _, r := range m.sending() {
				r.state = journal.InDoubt
			}
		},
	}
}

func (m *model) sending() (found []*modelRecord) {
	for _, records := range m.records {
		for _, r := range records {
			if r.state == journal.Sending {
				found = append(found, r)
			}
		}
	}
	return found
}
