package journal_test

import (
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
	for _, n := range listed {
		machine := journal.Machine{ID: id(n)}
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
		apply: func() { m.list(m.records[name], listed, excluded) },
	}
}

func (m *model) list(records map[int]*modelRecord, listed, excluded []int) {
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
	if possible && r.state == journal.Planned {
		possible = m.holder(name, n) == ""
	}
	if answer, ok := cancelAnswers[op.name]; possible && ok {
		possible = r.ours && (answer == "asked" || r.cancel != "")
	}
	return step{
		possible: possible,
		do:       m.in(name, func(c *journal.Campaign) error { return operate(c, id(n), op.name) }),
		apply: func() {
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
