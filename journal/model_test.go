package journal_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"offboard/internal/proof"
	"offboard/journal"
)

// model is what the journal should hold: the same rules over maps.
type model struct {
	path      string
	j         *journal.Journal
	campaigns []string
	records   map[string]map[int]*modelRecord // by campaign and machine
	faults    int
	words     map[int]*string // by machine that has succeeded: the campaign that may send it again since, or none
}

type modelRecord struct {
	state              journal.State
	row                int // in the newest list that had it while it was not sent
	attempts, notFound int
	out                bool                 // by the newest list
	ours               bool                 // the campaign asked for the action
	cancel             journal.CancelAnswer // of the cancellation, "asked" before it is known
	authorised         int
	passed             string // the campaign that a success here does not hold back
}

// holds says whether the record keeps a campaign from sending the machine.
func (r *modelRecord) holds(campaign string) bool {
	if r.state.Live() && r.state != journal.Succeeded {
		return true
	}
	return (r.state == journal.Succeeded || r.passed != "") && r.passed != campaign
}

// move makes a record go on to a state, and from there to excluded when nothing
// holds it in a campaign whose list leaves it out.
func (r *modelRecord) move(to journal.State) {
	if r.state = to; to == journal.Planned && r.out {
		r.state = journal.Excluded
	}
}

const modelMachines = 6

// TestModel does random things to a journal and to the model, among them closing
// and opening again, kills, and commits that fail at some write, and compares
// what both say after each. The negative control is a record that is changed
// behind the journal's back.
func TestModel(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.NothingLost, Harness: "journal against a model"}
	for range proof.Cases(1, 10) {
		held := t.Run("sequences", func(t *testing.T) {
			dir := t.TempDir()
			rapid.Check(t, func(t *rapid.T) {
				row.Cases++
				m := &model{path: filepath.Join(dir, fmt.Sprint(row.Cases)), records: map[string]map[int]*modelRecord{}, words: map[int]*string{}}
				m.run(t)
				row.Faults += m.faults
				if m.tamper(t) {
					row.Controls++
					if m.differs() != nil {
						row.Caught++
					}
				}
				m.remove()
			})
		})
		if !held {
			row.Violations++
		}
	}
	proof.Report(t, row)
}

func (m *model) run(t *rapid.T) {
	m.open(t)
	defer func() {
		if t.Failed() {
			m.remove()
		}
	}()
	t.Repeat(map[string]func(*rapid.T){
		"":        m.compare,
		"start":   func(t *rapid.T) { m.carryOut(t, m.start(t)) },
		"enlist":  func(t *rapid.T) { m.carryOut(t, m.enlist(t)) },
		"operate": func(t *rapid.T) { m.carryOut(t, m.operate(t)) },
		"recover": func(t *rapid.T) { m.carryOut(t, m.recover()) },
		"fail":    m.fail,
		"kill":    m.kill,
		"reopen":  m.reopen,
	})
	if _, err := m.j.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (m *model) open(t *rapid.T) {
	var err error
	if m.j, err = journal.Open(m.path, contoso, journal.Options{}); err != nil {
		t.Fatal(err)
	}
}

func (m *model) remove() {
	_ = m.j.Close()
	_ = os.Remove(m.path)
}

func (m *model) reopen(t *rapid.T) {
	if err := m.j.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
}

// kill goes on with a copy of the file that was never closed.
func (m *model) kill(t *rapid.T) {
	m.faults++
	copied := m.path + "'"
	copyFile(t, m.path, copied)
	m.remove()
	m.path = copied
	m.open(t)
}

// step is a change of the journal and what it means for the model.
type step struct {
	do       func() error
	possible bool
	apply    func()
	pieces   bool // it takes several commits, and may be carried out again
}

func (m *model) carryOut(t *rapid.T, s step) {
	if err := s.do(); (err == nil) != s.possible {
		t.Fatalf("%v, by the model possible: %v", err, s.possible)
	}
	if s.possible {
		s.apply()
	}
}

// fail carries out a step while the n-th write fails, and opens the journal anew.
// Then the step has been carried out or not, and nothing else has happened.
func (m *model) fail(t *rapid.T) {
	draw := []func(*rapid.T) step{m.start, m.enlist, m.operate, func(*rapid.T) step { return m.recover() }}
	s := rapid.SampledFrom(draw).Draw(t, "step")(t)
	failWrite(rapid.Bool().Draw(t, "applied"))(m.j, rapid.IntRange(1, 8).Draw(t, "write"), 0)
	err := s.do()
	if !errors.Is(err, journal.ErrStopped) {
		if (err == nil) != s.possible {
			t.Fatalf("%v, by the model possible: %v", err, s.possible)
		}
		if s.possible {
			s.apply()
		}
		m.reopen(t)
		return
	}
	m.faults++
	if _, err := m.j.StartCampaign(journal.Info{Name: "after the failure"}); !errors.Is(err, journal.ErrStopped) {
		t.Fatalf("a change after a failed commit: %v", err)
	}
	m.reopen(t)
	if s.pieces {
		m.carryOut(t, s)
	} else if s.possible && m.differs() != nil {
		s.apply()
	}
}

// tamper changes a record behind the journal's back, checksum and all, if there
// is one.
func (m *model) tamper(t *rapid.T) (changed bool) {
	err := m.j.Close()
	var db *bolt.DB
	if err == nil {
		db, err = bolt.Open(m.path, 0o600, nil)
	}
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("machines"))
			key, _ := b.Cursor().Last()
			if changed = key != nil; !changed {
				return nil
			}
			return resealKey(b, bytes.Clone(key), func(body []byte) {
				other := journal.Rejected
				if body[1] == byte(other) {
					other = journal.Failed
				}
				body[1] = byte(other)
			})
		})
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	m.open(t)
	return changed
}

// holder returns the other campaign that holds the machine; one that is live before
// one that has been superseded.
func (m *model) holder(campaign string, n int) (by string) {
	for _, name := range m.campaigns {
		r := m.records[name][n]
		if name == campaign || r == nil || !r.holds(campaign) {
			continue
		}
		if by == "" || r.state.Live() && (r.state != journal.Succeeded || r.passed == "" || r.passed == name) {
			by = name
		}
	}
	return by
}

func (m *model) compare(t *rapid.T) {
	if err := m.differs(); err != nil {
		t.Fatal(err)
	}
}

// differs says where the journal is not what the model says.
func (m *model) differs() error {
	all, err := m.j.Campaigns()
	if err != nil || len(all) != len(m.campaigns) {
		return fmt.Errorf("%d campaigns, want %d, %w", len(all), len(m.campaigns), err)
	}
	for name, records := range m.records {
		c, err := m.j.Campaign(name)
		if err != nil {
			return err
		}
		want, cancels := map[string]string{}, map[string]journal.CancelAnswer{}
		states := map[journal.State]int{}
		for n, r := range records {
			state, by, cancel := r.state, "", r.cancel
			if state == journal.Planned {
				if by = m.holder(name, n); by != "" {
					state, cancel = m.records[by][n].state, m.records[by][n].cancel
					if !state.Live() {
						state = journal.Succeeded // once
					}
				}
			}
			want[id(n)] = fmt.Sprint(r.row, state, by, r.attempts, r.notFound, r.authorised)
			cancels[id(n)] = cancel
			states[state]++
		}
		if err := differsIn(c, want, cancels, states); err != nil {
			return fmt.Errorf("campaign %s: %w", name, err)
		}
	}
	return nil
}

func differsIn(c *journal.Campaign, want map[string]string, cancels map[string]journal.CancelAnswer, states map[journal.State]int) error {
	got := map[string]string{}
	for s, err := range c.Standing() {
		if err != nil {
			return err
		}
		got[s.MachineID] = fmt.Sprint(s.Row, s.State, s.SettledBy, s.Attempts, s.NotFound, s.Authorised)
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("got %v\nwant %v", got, want)
	}
	clear(got)
	for e, err := range c.Entries() {
		if err != nil {
			return err
		}
		got[e.MachineID] = fmt.Sprint(e.Row, e.State, e.SettledBy, e.Attempts, e.NotFound, e.Authorised)
		if answer := answerOf(e); answer != cancels[e.MachineID] {
			return fmt.Errorf("the cancellation of %s is %q, want %q", e.MachineID, answer, cancels[e.MachineID])
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("entries: got %v\nwant %v", got, want)
	}
	counts, err := c.Counts()
	if err != nil || counts.Total() != len(want) {
		return fmt.Errorf("counts %+v, %w", counts, err)
	}
	for _, s := range journal.States() {
		if counts.Of(s) != states[s] {
			return fmt.Errorf("%d machines %s, want %d", counts.Of(s), s, states[s])
		}
	}
	return nil
}

// answerOf is how the cancellation of a machine stands: "asked" before its answer
// is known, "" when there is none.
func answerOf(e journal.Entry) journal.CancelAnswer {
	if e.Cancel == nil {
		return ""
	}
	return cmp.Or(e.Cancel.Outcome, "asked")
}
