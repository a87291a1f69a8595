package journal_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"offboard/journal"
)

func authorise(c *journal.Campaign, again bool, machine string, past ...string) error {
	return c.Authorise([]journal.Authorisation{{MachineID: machine, Reason: "CHG-2", Again: again, Past: past}})
}

func steps(tb testing.TB, c *journal.Campaign, machine string, ops ...string) {
	tb.Helper()
	for _, op := range ops {
		must(tb, operate(c, machine, op))
	}
}

// TestAuthorise: what has ended is planned again on a person's word, with a number
// of its own, and knows what it must not be taken for.
func TestAuthorise(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{Operator: "anna@host"})
	c := started(t, j, "spring", machines(3))
	steps(t, c, id(0), "begin", "accept", "failed")
	first := entry(t, c, id(0)).ActionID
	must(t, authorise(c, false, id(0), "by-hand"))
	e := entry(t, c, id(0))
	if e.State != journal.Planned || e.Authorised != 1 || e.Word != "CHG-2" || e.ActionID != "" || e.Action != nil || e.Origin != "" {
		t.Errorf("authorised: %+v", e)
	}
	a := begin(t, c, id(0))
	want := []string{"by-hand", first}
	if a.Number != 2 || !slices.Equal(a.Prior, want) || !slices.Equal(e.Past, want) {
		t.Errorf("attempt %d, prior %q, past %q", a.Number, a.Prior, e.Past)
	}
	for _, past := range want {
		if err := c.Accept(id(0), pending(past), journal.Ours); !errors.Is(err, journal.ErrOtherAction) {
			t.Errorf("accepted with the earlier action %s: %v", past, err)
		}
	}
	must(t, c.Doubt(id(0), journal.Failure{}))
	if err := c.Accept(id(0), pending(first), journal.Adopted); !errors.Is(err, journal.ErrOtherAction) {
		t.Errorf("settled by the earlier action: %v", err)
	}
	must(t, c.Verdict(id(0), true, "seen", "anna"))
	if err := c.Settle(id(0), withStatus(pending(first), "Failed")); !errors.Is(err, journal.ErrOtherAction) {
		t.Errorf("ended by the earlier action: %v", err)
	}
	must(t, authorise(c, false, id(1), "by-hand"))
	if err := c.Adopt(id(1), withStatus(pending("by-hand"), "Succeeded")); !errors.Is(err, journal.ErrOtherAction) {
		t.Errorf("adopted what the word was about: %v", err)
	}
	must(t, c.Adopt(id(1), pending("under-way")))
}

// TestAuthoriseTwiceInOneCall authorises a machine once.
func TestAuthoriseTwiceInOneCall(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(2))
	steps(t, c, id(0), "begin", "reject")
	one := journal.Authorisation{MachineID: id(0), Reason: "once"}
	must(t, c.Authorise([]journal.Authorisation{one, {MachineID: id(1)}, one}))
	if e := entry(t, c, id(0)); e.Authorised != 1 {
		t.Errorf("authorised %d times", e.Authorised)
	}
}

// TestAuthoriseRefuses: nothing that may have an effect still is ever sent again,
// and a success only on the word that is meant for it.
func TestAuthoriseRefuses(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(8)
	list[7].Exclude = "not onboarded"
	spring, summer := started(t, j, "spring", list), started(t, j, "summer", list[:7])
	for n, ops := range [][]string{{"begin"}, {"begin", "doubt"}, {"begin", "accept"}, {"adopt succeeded"}} {
		steps(t, spring, id(n), ops...)
	}
	for _, c := range []struct {
		machine string
		again   bool
		want    error
	}{
		{id(0), true, journal.ErrInDoubt}, {id(1), true, journal.ErrInDoubt}, {id(2), true, journal.ErrSettled},
		{id(3), false, journal.ErrSettled},
	} {
		for _, campaign := range []*journal.Campaign{spring, summer} {
			if err := authorise(campaign, c.again, c.machine); !errors.Is(err, c.want) {
				t.Errorf("machine %s in campaign %s: %v, want %v", c.machine, campaign.Info().Name, err, c.want)
			}
		}
	}
	if err := authorise(spring, true, id(7)); !errors.Is(err, journal.ErrTransition) {
		t.Errorf("an excluded machine: %v", err)
	}
	if err := authorise(summer, true, id(7)); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("an unknown machine: %v", err)
	}
	if err := authorise(summer, true, "x"); !errors.Is(err, journal.ErrMachineID) {
		t.Errorf("no machine: %v", err)
	}
	// One that is refused lets the others of its call wait.
	err := summer.Authorise([]journal.Authorisation{{MachineID: id(4)}, {MachineID: id(2)}})
	if !errors.Is(err, journal.ErrSettled) || entry(t, summer, id(4)).Authorised != 0 {
		t.Errorf("one of two: %v", err)
	}
}

// TestAgainInAnotherCampaign: the success stays in its campaign's report and holds the
// machine against everybody but the campaign that was named.
func TestAgainInAnotherCampaign(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(1)
	spring, summer, autumn := started(t, j, "spring", list), started(t, j, "summer", list), started(t, j, "autumn", list)
	m := id(0)
	steps(t, spring, m, "begin", "accept", "succeeded")
	must(t, authorise(summer, true, m))
	if e := entry(t, spring, m); e.State != journal.Succeeded || e.ActionID == "" {
		t.Errorf("the earlier success is %+v", e)
	}
	if e := entry(t, autumn, m); e.State != journal.Succeeded || e.SettledBy != "spring" {
		t.Errorf("to a third campaign it is %s by %q", e.State, e.SettledBy)
	}
	if _, err := autumn.Begin(m, 1); !errors.Is(err, journal.ErrSettled) {
		t.Errorf("a third campaign: %v", err)
	}
	for l, err := range j.Live() {
		if must(t, err); l.Campaign != "spring" || l.State != journal.Succeeded || l.PassedTo != "summer" {
			t.Errorf("live: %+v", l)
		}
	}
	a := begin(t, summer, m)
	if e := entry(t, spring, m); a.Number != 1 || !slices.Contains(a.Prior, e.ActionID) {
		t.Errorf("attempt %d, prior %q", a.Number, a.Prior)
	}
	steps(t, summer, m, "accept")
	for _, c := range []*journal.Campaign{summer, autumn} {
		if err := authorise(c, true, m); !errors.Is(err, journal.ErrSettled) {
			t.Errorf("accepted, and authorised in %s: %v", c.Info().Name, err)
		}
	}
	steps(t, summer, m, "failed")
	if _, err := autumn.Begin(m, 1); !errors.Is(err, journal.ErrSettled) {
		t.Errorf("a third campaign, when the second has failed: %v", err)
	}
	must(t, authorise(autumn, true, m))
	if err := authorise(summer, false, m); !errors.Is(err, journal.ErrSettled) {
		t.Errorf("the second once more, without the word: %v", err)
	}
	begin(t, autumn, m)
}

// TestAgainAndLeftOut: a success that was to be gone past and was not holds the machine
// whatever becomes of the record.
func TestAgainAndLeftOut(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(2)
	spring, summer := started(t, j, "spring", list), started(t, j, "summer", list)
	m := id(0)
	steps(t, spring, m, "begin", "accept", "succeeded")
	must(t, authorise(spring, true, m))
	if err := authorise(summer, true, m); !errors.Is(err, journal.ErrSettled) {
		t.Errorf("two campaigns are to send it: %v", err)
	}
	if _, err := spring.Enlist(enlistment(list[1:])); err != nil {
		t.Fatal(err)
	}
	if e := entry(t, spring, m); e.State != journal.Excluded {
		t.Errorf("off the list it is %s", e.State)
	}
	if e := entry(t, summer, m); e.State != journal.Succeeded || e.SettledBy != "spring" {
		t.Errorf("to another campaign it is %s by %q", e.State, e.SettledBy)
	}
	if _, err := summer.Begin(m, 1); !errors.Is(err, journal.ErrSettled) {
		t.Errorf("another campaign: %v", err)
	}
	must(t, authorise(summer, true, m))
	if _, err := spring.Enlist(enlistment(list)); err != nil {
		t.Fatal(err)
	}
	if e := entry(t, spring, m); e.State != journal.Excluded {
		t.Errorf("on the list again it is %s, and another campaign is to send it", e.State)
	}
	begin(t, summer, m)
}

// TestEnded yields what nobody holds, as it ended last.
func TestEnded(t *testing.T) {
	t.Parallel()
	now := newClock()
	j := mustOpen(t, journalPath(t), journal.Options{Now: now.Now})
	list := machines(5)
	spring, summer := started(t, j, "spring", list), started(t, j, "summer", list)
	steps(t, spring, id(0), "begin", "reject")
	steps(t, spring, id(1), "begin", "reject")
	steps(t, spring, id(2), "begin", "accept", "failed")
	steps(t, spring, id(3), "begin", "accept", "succeeded")
	now.advance(time.Minute)
	steps(t, summer, id(1), "begin", "accept", "cancelled")
	steps(t, summer, id(2), "begin")
	got := map[string]journal.Live{}
	for l, err := range j.Ended() {
		must(t, err)
		got[l.MachineID] = l
	}
	if len(got) != 2 || got[id(0)].State != journal.Rejected || got[id(1)].State != journal.Cancelled || got[id(1)].Campaign != "summer" {
		t.Errorf("ended: %+v", got)
	}
}
