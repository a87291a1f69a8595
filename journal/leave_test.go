package journal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"offboard/journal"
)

const left = "no longer on the list"

// leavers are machines that a list leaves out while they may be sent already.
var leavers = []struct {
	before  string // operations before the list
	exclude string // what the list says of the machine; empty: nothing, it is not there
	after   string // operations after the list
	state   journal.State
	reason  string
	events  string // of the operations after the list
}{
	{"begin", "", "release", journal.Excluded, left, "released excluded"},
	{"begin", "not onboarded", "release", journal.Excluded, "not onboarded", "released excluded"},
	{"begin", "", "doubt, release", journal.Excluded, left, "doubted released excluded"},
	{"begin", "", "recover, release", journal.Excluded, left, "doubted released excluded"},
	{"begin, doubt", "", "release", journal.Excluded, left, "released excluded"},
	{"begin, doubt", "not onboarded", "release", journal.Excluded, "not onboarded", "released excluded"},
	{"begin, doubt", "", "verdict not applied", journal.Excluded, left, "verdict excluded"},
	{"begin, doubt", "not onboarded", "verdict not applied", journal.Excluded, "not onboarded", "verdict excluded"},
	{"begin, release, begin", "", "release", journal.Excluded, left, "released excluded"},
	{"begin", "", "accept", journal.Accepted, "", "accepted"},
	{"begin", "not onboarded", "accept failed", journal.Failed, "", "accepted settled"},
	{"begin", "not onboarded", "reject", journal.Rejected, "", "rejected"},
	{"begin, doubt", "not onboarded", "accept", journal.Accepted, "", "accepted"},
	{"begin, doubt", "", "verdict applied", journal.Accepted, "seen in the portal", "verdict"},
}

// TestLeavers: what becomes of its attempt decides about a machine that left the
// list during it, and one that was not sent is excluded, until it is back.
func TestLeavers(t *testing.T) {
	t.Parallel()
	for _, m := range leavers {
		t.Run(fmt.Sprintf("%s; %s; %s", m.before, m.exclude, m.after), func(t *testing.T) {
			t.Parallel()
			now := newClock()
			j := mustOpen(t, journalPath(t), journal.Options{Now: now.Now})
			c := started(t, j, "spring", machines(1))
			operateAll(t, j, c, m.before)
			leave(t, c, now, m.exclude)
			seen := len(kinds(t, j))
			operateAll(t, j, c, m.after)
			if e := entry(t, c, id(0)); e.State != m.state || e.Reason != m.reason {
				t.Errorf("%s (%q), want %s (%q)", e.State, e.Reason, m.state, m.reason)
			}
			if got := strings.Join(kinds(t, j)[seen:], " "); got != m.events {
				t.Errorf("events %q, want %q", got, m.events)
			}
			if got := leaving(t, c); got != "" {
				t.Errorf("still to leave: %q", got)
			}
			want := journal.Enlisted{Unchanged: 1}
			if m.state == journal.Excluded {
				want = journal.Enlisted{Returned: 1}
			}
			if got, err := c.Enlist(enlistment(machines(1))); err != nil || got != want {
				t.Errorf("back on the list: %+v, %v, want %+v", got, err, want)
			}
			if m.state == journal.Excluded {
				begin(t, c, id(0))
			}
		})
	}
}

// operateAll carries out operations on the only machine, among them "recover".
func operateAll(t *testing.T, j *journal.Journal, c *journal.Campaign, ops string) {
	t.Helper()
	for op := range strings.SplitSeq(ops, ", ") {
		if op != "recover" {
			must(t, operate(c, id(0), op))
			continue
		}
		_, err := j.Recover()
		must(t, err)
	}
}

// leave takes a list that leaves the only machine out, which may be sent
// already and thus stays what it is, since when it is.
func leave(t *testing.T, c *journal.Campaign, now *clock, exclude string) {
	t.Helper()
	before := entry(t, c, id(0))
	now.advance(time.Hour)
	var list []journal.Machine
	if exclude != "" {
		list = []journal.Machine{{ID: id(0), Exclude: exclude}}
	}
	got, err := c.Enlist(enlistment(list))
	must(t, err)
	if want := (journal.Enlisted{Unchanged: 1}); got != want {
		t.Errorf("enlisted %+v, want %+v", got, want)
	}
	if e := entry(t, c, id(0)); e.State != before.State || !e.Updated.Equal(before.Updated) || e.Reason != "" {
		t.Errorf("after the list %+v, before %+v", e, before)
	}
}

func leaving(t *testing.T, c *journal.Campaign) string {
	t.Helper()
	reason, err := journal.Leaving(c, id(0))
	must(t, err)
	return reason
}

func kinds(t *testing.T, j *journal.Journal) []string {
	t.Helper()
	var all []string
	for e, err := range j.Events() {
		must(t, err)
		all = append(all, string(e.Kind))
	}
	return all
}

// TestNewestListDecides takes several lists while a machine is in doubt: only
// what the last one says counts.
func TestNewestListDecides(t *testing.T) {
	t.Parallel()
	for _, lists := range [][]string{{left, ""}, {"not onboarded", ""}, {left, "not onboarded"}, {"not onboarded", left}, {"not onboarded", "retired"}} {
		t.Run(strings.Join(lists, ", then "), func(t *testing.T) {
			t.Parallel()
			j := mustOpen(t, journalPath(t), journal.Options{})
			c := started(t, j, "spring", machines(1))
			operateAll(t, j, c, "begin, doubt")
			for _, exclude := range lists {
				list := []journal.Machine{{ID: id(0), Exclude: exclude}}
				if exclude == left {
					list = nil
				}
				_, err := c.Enlist(enlistment(list))
				must(t, err)
				if got := leaving(t, c); got != exclude {
					t.Errorf("to leave: %q, want %q", got, exclude)
				}
			}
			operateAll(t, j, c, "release")
			want, reason := journal.Excluded, lists[1]
			if reason == "" {
				want = journal.Planned
			}
			if e := entry(t, c, id(0)); e.State != want || e.Reason != reason {
				t.Errorf("%s (%q), want %s (%q)", e.State, e.Reason, want, reason)
			}
		})
	}
}

// TestLeaverInEvents: the last two events of a doubt that ends with a leaver's
// exclusion tell whose word it was and why the machine is left out.
func TestLeaverInEvents(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(1))
	operateAll(t, j, c, "begin, doubt")
	_, err := c.Enlist(enlistment(nil))
	must(t, err)
	operateAll(t, j, c, "verdict not applied")
	var events []journal.Event
	for e, err := range j.Events() {
		must(t, err)
		events = append(events, e)
	}
	verdict, excluded := events[len(events)-2], events[len(events)-1]
	if verdict.From != journal.InDoubt || verdict.To != journal.Planned || verdict.Operator != "anna" || verdict.Reason != "not in the portal" {
		t.Errorf("verdict %+v", verdict)
	}
	if excluded.From != journal.Planned || excluded.To != journal.Excluded || excluded.Attempt != 1 ||
		excluded.Reason != left || excluded.MachineID != id(0) || !excluded.Time.Equal(verdict.Time) {
		t.Errorf("excluded %+v", excluded)
	}
	if e := entry(t, c, id(0)); e.Failure == nil || e.Failure.Message != "not in the portal" {
		t.Errorf("the verdict's words are lost: %+v", e)
	}
	calls, err := j.Calls(time.Time{}, journal.Chain{})
	if err != nil || len(calls) != 1 {
		t.Errorf("calls %+v, %v", calls, err)
	}
}
