package journal_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"offboard/journal"
)

// TestNewListWins takes a second list over machines in every situation.
func TestNewListWins(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{Operator: "anna"})
	first := machines(8)
	first[5].Exclude, first[6].Exclude = "not onboarded", "not onboarded"
	c := started(t, j, "spring", first)
	must(t, operate(c, id(1), "begin"))
	must(t, operate(c, id(1), "accept")) // was sent: stays, though it leaves the list

	second := machines(10)
	second[2].Name = "renamed"
	second[3].Exclude = "not onboarded"
	second[6].Exclude = "" // returns
	list := slices.Concat(second[2:4], second[5:7], second[8:10], second[9:10])
	list[2].Exclude = "can be onboarded"
	got, err := c.Enlist(journal.Enlistment{
		List: journal.ListInfo{Path: "new.csv", SHA256: "beef"}, Columns: []string{"owner", "owner", "site"}, Machines: slices.Values(list),
	})
	must(t, err)
	// 0, 4 and 7 left, 3 is excluded by the list, 2 and 5 have new details, 6 returns, 8 and 9 are new, 1 was sent.
	if want := (journal.Enlisted{Added: 2, Refreshed: 2, Excluded: 4, Returned: 1, Unchanged: 1}); got != want {
		t.Errorf("enlisted %+v, want %+v", got, want)
	}
	wants := []journal.State{journal.Excluded, journal.Accepted, journal.Planned, journal.Excluded, journal.Excluded,
		journal.Excluded, journal.Planned, journal.Excluded, journal.Planned, journal.Planned}
	for n, want := range wants {
		if e := entry(t, c, id(n)); e.State != want || (want == journal.Excluded) != (e.Reason != "") {
			t.Errorf("machine %d is %s (%q), want %s", n, e.State, e.Reason, want)
		}
	}
	if e := entry(t, c, id(2)); e.Name != "renamed" || e.Row != 1 || !maps.Equal(e.Carried, map[string]string{"owner": "anna", "owner (2)": "Graz"}) {
		t.Errorf("refreshed machine: %+v", e)
	}
	if e := entry(t, c, id(1)); e.Row != 2 || !maps.Equal(e.Carried, map[string]string{"owner": "anna", "site": "Graz"}) {
		t.Errorf("sent machine: %+v", e)
	}
	checkListEvents(t, j)
}

func checkListEvents(t *testing.T, j *journal.Journal) {
	t.Helper()
	kinds := map[journal.Kind]int{}
	var last journal.Event
	for e, err := range j.Events() {
		must(t, err)
		kinds[e.Kind]++
		if e.Kind == journal.KindEnlisted {
			last = e
		}
	}
	if want := map[journal.Kind]int{"started": 1, "enlisted": 2, "intent": 1, "accepted": 1, "excluded": 4, "returned": 1}; !maps.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
	if last.Info.List.SHA256 != "beef" || last.Changes.Added != 2 || last.Machines != 10 || last.Operator != "anna" {
		t.Errorf("event of the list %+v", last)
	}
}

// TestSameListChangesNothing, whatever the order of ids in it.
func TestSameListChangesNothing(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(5000))
	got, err := c.Enlist(enlistment(machines(5000)))
	must(t, err)
	if want := (journal.Enlisted{Unchanged: 5000}); got != want {
		t.Errorf("enlisted %+v", got)
	}
	rows := map[int]bool{}
	last := ""
	for s, err := range c.Standing() {
		must(t, err)
		if s.MachineID <= last || s.State != journal.Planned || rows[s.Row] {
			t.Fatalf("standing %+v after %s", s, last)
		}
		last, rows[s.Row] = s.MachineID, true
	}
	if len(rows) != 5000 || !rows[1] || !rows[5000] {
		t.Errorf("%d rows", len(rows))
	}
}

// TestUnfinishedList: a campaign whose list was not taken to its end sends nothing.
func TestUnfinishedList(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c, err := j.StartCampaign(journal.Info{Name: "spring"})
	must(t, err)
	bad := append(machines(3), journal.Machine{ID: "4"})
	var detail *journal.Error
	if _, err := c.Enlist(enlistment(bad)); !errors.Is(err, journal.ErrMachineID) || !errors.As(err, &detail) || detail.Machine != "4" {
		t.Errorf("list with a bad id: %v", err)
	}
	if c.Info().Enlisted {
		t.Error("enlisted after a refused list")
	}
	c = started(t, j, "summer", machines(3))
	if !c.Info().Enlisted || c.Info().List.Path != "pcs.csv" {
		t.Errorf("info %+v", c.Info())
	}
	must(t, c.Update(func(i *journal.Info) error { i.Enlisted = false; return nil }))
	if _, err := c.Begin(id(0), 1); !errors.Is(err, journal.ErrNotEnlisted) {
		t.Errorf("begun before a list was taken again: %v", err)
	}
	_, err = c.Enlist(enlistment(machines(3)))
	must(t, err)
	if _, err := c.Begin(id(0), 1); err != nil {
		t.Errorf("the list was taken again: %v", err)
	}
}

// TestManyCampaigns reads across pieces in which no machine is the campaign's.
func TestManyCampaigns(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(2600)
	slices.SortFunc(list, func(a, b journal.Machine) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	ends := []journal.Machine{list[0], list[len(list)-1]}
	for n := range 3 {
		started(t, j, fmt.Sprint("large ", n), list)
	}
	c := started(t, j, "small", ends)
	var found []string
	for e, err := range c.Entries() {
		must(t, err)
		found = append(found, e.MachineID)
		// Writing while reading must not wait for itself.
		begin(t, c, e.MachineID)
	}
	if !slices.Equal(found, []string{ends[0].ID, ends[1].ID}) {
		t.Errorf("found %v", found)
	}
}

// TestEnlistLong: a list of several pieces, in order and backwards, with machines
// that leave it in each.
func TestEnlistLong(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(5000)
	slices.SortFunc(list, func(a, b journal.Machine) int { return strings.Compare(a.ID, b.ID) })
	for i := range list {
		list[i].Row = i + 1
	}
	c := started(t, j, "spring", list)
	var odd []journal.Machine
	for i, m := range list {
		if i%2 > 0 {
			odd = append(odd, m)
		}
	}
	done, err := c.Enlist(enlistment(odd))
	must(t, err)
	if want := (journal.Enlisted{Excluded: 2500, Unchanged: 2500}); done != want {
		t.Errorf("half the list: %+v", done)
	}
	slices.Reverse(list)
	done, err = c.Enlist(enlistment(list))
	must(t, err)
	if want := (journal.Enlisted{Returned: 2500, Unchanged: 2500}); done != want {
		t.Errorf("all of it again: %+v", done)
	}
}
