package journal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"offboard/journal"
)

// TestTransitions tries every operation in every state: those of the state
// machine succeed and lead where they should, all others are refused and leave
// the machine where it was.
func TestTransitions(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	states := []struct {
		state journal.State
		steps []string
	}{
		{journal.Planned, nil},
		{journal.Sending, []string{"begin"}},
		{journal.Accepted, []string{"begin", "accept", "cancelling"}},
		{journal.Succeeded, []string{"begin", "accept", "succeeded"}},
		{journal.Failed, []string{"begin", "accept", "failed"}},
		{journal.TimedOut, []string{"begin", "accept", "timeout"}},
		{journal.Cancelled, []string{"begin", "accept", "cancelled"}},
		{journal.Rejected, []string{"begin", "reject"}},
		{journal.InDoubt, []string{"begin", "doubt"}},
		{journal.Excluded, nil},
	}
	list := make([]journal.Machine, 0, len(states)*len(operations))
	for i := range cap(list) {
		m := journal.Machine{ID: id(i)}
		if states[i/len(operations)].state == journal.Excluded {
			m.Exclude = "not onboarded"
		}
		list = append(list, m)
	}
	c := started(t, j, "spring", list)
	tried := 0
	for i, s := range states {
		for k, op := range operations {
			machine := id(i*len(operations) + k)
			for _, step := range s.steps {
				must(t, operate(c, machine, step))
			}
			want, possible := op.leads[s.state]
			err := operate(c, machine, op.name)
			if !possible {
				want = s.state
				if !errors.Is(err, journal.ErrTransition) {
					t.Errorf("%s while %s: %v, want ErrTransition", op.name, s.state, err)
				}
			} else if err != nil {
				t.Errorf("%s while %s: %v", op.name, s.state, err)
			}
			if got := entry(t, c, machine).State; got != want {
				t.Errorf("%s while %s leads to %s, want %s", op.name, s.state, got, want)
			}
			tried++
		}
	}
	if tried != 10*len(operations) {
		t.Errorf("tried %d pairs", tried)
	}
}

type leads = map[journal.State]journal.State

// operation is what operate does, and where it leads from which states.
type operation struct {
	name  string
	leads leads
}

var operations = []operation{
	{"begin", leads{journal.Planned: journal.Sending}},
	{"accept", leads{journal.Sending: journal.Accepted, journal.InDoubt: journal.Accepted}},
	{"accept failed", leads{journal.Sending: journal.Failed, journal.InDoubt: journal.Failed}},
	{"reject", leads{journal.Sending: journal.Rejected}},
	{"doubt", leads{journal.Sending: journal.InDoubt}},
	{"release", leads{journal.Sending: journal.Planned, journal.InDoubt: journal.Planned}},
	{"adopt", leads{journal.Planned: journal.Accepted}},
	{"adopt succeeded", leads{journal.Planned: journal.Succeeded}},
	{"verdict applied", leads{journal.InDoubt: journal.Accepted}},
	{"verdict not applied", leads{journal.InDoubt: journal.Planned}},
	{"succeeded", leads{journal.Accepted: journal.Succeeded}},
	{"failed", leads{journal.Accepted: journal.Failed}},
	{"timeout", leads{journal.Accepted: journal.TimedOut}},
	{"cancelled", leads{journal.Accepted: journal.Cancelled}},
	{"cancelling", leads{journal.Accepted: journal.Accepted}},
	{"cancel taken", leads{journal.Accepted: journal.Accepted}},
	{"cancel done", leads{journal.Accepted: journal.Cancelled}},
	{"cancel refused", leads{journal.Accepted: journal.Accepted}},
	{"cancel doubted", leads{journal.Accepted: journal.Accepted}},
	{"authorise", leads{
		journal.Planned: journal.Planned, journal.Rejected: journal.Planned, journal.Failed: journal.Planned,
		journal.TimedOut: journal.Planned, journal.Cancelled: journal.Planned,
	}},
	{"authorise again", leads{
		journal.Planned: journal.Planned, journal.Rejected: journal.Planned, journal.Failed: journal.Planned,
		journal.TimedOut: journal.Planned, journal.Cancelled: journal.Planned, journal.Succeeded: journal.Planned,
	}},
}

func operate(c *journal.Campaign, machine, op string) error {
	a := pending("a-" + c.Info().Name + "-" + machine) // another campaign has another action
	if e, err := c.Entry(machine); err == nil && e.Authorised > 0 {
		a = pending(fmt.Sprint(a.ID, "-", e.Authorised)) // and so has every authorised attempt
	}
	f := journal.Failure{Reason: journal.ReasonUnknown}
	switch op {
	case "begin":
		_, err := c.Begin(machine, 1)
		return err
	case "accept":
		return c.Accept(machine, a, journal.Ours)
	case "accept failed":
		return c.Accept(machine, withStatus(a, "Failed"), journal.Ours)
	case "reject":
		return c.Reject(machine, f)
	case "doubt":
		return c.Doubt(machine, f)
	case "release":
		return c.Release(machine, f)
	case "adopt":
		return c.Adopt(machine, a)
	case "adopt succeeded":
		return c.Adopt(machine, withStatus(a, "Succeeded"))
	case "verdict applied":
		return c.Verdict(machine, true, "seen in the portal", "anna")
	case "verdict not applied":
		return c.Verdict(machine, false, "not in the portal", "anna")
	case "succeeded":
		return c.Settle(machine, withStatus(a, "Succeeded"))
	case "failed":
		return c.Settle(machine, withStatus(a, "Failed"))
	case "timeout":
		return c.Settle(machine, withStatus(a, "TimeOut"))
	case "cancelling":
		return c.Cancelling(machine, "wrong list", 2)
	case "cancel taken":
		return c.CancelTaken(machine, withStatus(a, "InProgress"))
	case "cancel done":
		return c.CancelTaken(machine, withStatus(a, "Cancelled"))
	case "cancel refused":
		return c.Uncancelled(machine, f)
	case "cancel doubted":
		return c.CancelDoubted(machine, f)
	case "authorise", "authorise again":
		return c.Authorise([]journal.Authorisation{{MachineID: machine, Reason: "onboarded again", Again: op != "authorise"}})
	default:
		return c.Settle(machine, withStatus(a, "Cancelled"))
	}
}

// TestAtMostOnceOverCampaigns: what one campaign holds no other may send, and
// its report shows it as settled.
func TestAtMostOnceOverCampaigns(t *testing.T) {
	t.Parallel()
	now := newClock()
	j := mustOpen(t, journalPath(t), journal.Options{Now: now.Now})
	list := machines(6)
	spring, summer := started(t, j, "spring", list), started(t, j, "summer", list)
	for n, steps := range [][]string{{"begin"}, {"begin", "doubt"}, {"begin", "accept"}, {"adopt succeeded"}, {"begin", "reject"}, {"begin", "accept", "failed"}} {
		for _, step := range steps {
			must(t, operate(spring, id(n), step))
		}
	}
	since := now.Now()
	now.advance(time.Hour)
	wants := []struct {
		err   error
		state journal.State
	}{
		{journal.ErrInDoubt, journal.Sending}, {journal.ErrInDoubt, journal.InDoubt},
		{journal.ErrSettled, journal.Accepted}, {journal.ErrSettled, journal.Succeeded},
		{nil, journal.Planned}, {nil, journal.Planned},
	}
	for n, want := range wants {
		e := entry(t, summer, id(n))
		if e.State != want.state || (e.SettledBy == "spring") != (want.err != nil) || e.Campaign != "summer" {
			t.Errorf("machine %d is %s, settled by %q, want %s", n, e.State, e.SettledBy, want.state)
		}
		adopted := summer.Adopt(id(n), pending("x"))
		if want.err != nil && !errors.Is(adopted, want.err) {
			t.Errorf("adopt machine %d: %v, want %v", n, adopted, want.err)
		}
		if want.err == nil {
			continue
		}
		_, err := summer.Begin(id(n), 1)
		var detail *journal.Error
		if !errors.Is(err, want.err) || !errors.As(err, &detail) {
			t.Fatalf("begin machine %d: %v, want %v", n, err, want.err)
		}
		if detail.By != "spring" || !detail.At.Equal(since) || detail.From != want.state || detail.Machine != id(n) || detail.Campaign != "summer" {
			t.Errorf("machine %d: error %+v", n, detail)
		}
	}
	counts, err := summer.Counts()
	must(t, err)
	if counts.SettledElsewhere() != 4 || counts.Total() != 6 || counts.Of(journal.Accepted) != 3 {
		t.Errorf("counts %+v", counts)
	}
	if e := entry(t, summer, id(2)); e.ActionID != "a-spring-"+id(2) || e.Origin != journal.Ours || e.Attempts != 0 || !e.Updated.Equal(since) {
		t.Errorf("entry of a machine that spring settled: %+v", e)
	}
}

// TestBeginOfALiveMachine: the campaign's own live record is refused in both words.
func TestBeginOfALiveMachine(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(1))
	begin(t, c, id(0))
	_, err := c.Begin(id(0), 2)
	if !errors.Is(err, journal.ErrInDoubt) || !errors.Is(err, journal.ErrTransition) {
		t.Errorf("second begin: %v", err)
	}
}

func TestAttempt(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(2)
	list[1].Comment = "its own"
	spring, summer := started(t, j, "spring", list), started(t, j, "summer", list)
	must(t, spring.Prior(map[string][]string{id(0): {"old"}, id(9): {"of another machine"}}))
	if a := begin(t, spring, id(0)); a.Number != 1 || a.Comment != "retired" || !slices.Equal(a.Prior, []string{"old"}) {
		t.Errorf("first attempt %+v", a)
	}
	must(t, spring.Accept(id(0), withStatus(pending("failed one"), "Failed"), journal.Ours))
	if a := begin(t, summer, id(0)); !slices.Equal(a.Prior, []string{"failed one"}) {
		t.Errorf("attempt after another campaign's: %+v", a)
	}
	for n := 1; n <= 3; n++ {
		if a := begin(t, spring, id(1)); a.Number != n || a.Comment != "its own" {
			t.Errorf("attempt %d: %+v", n, a)
		}
		must(t, spring.Release(id(1), journal.Failure{Reason: journal.ReasonNotFound, HTTPStatus: 404}))
	}
	if e := entry(t, spring, id(1)); e.NotFound != 3 || e.Attempts != 3 || e.Failure.HTTPStatus != 404 || e.Answered.IsZero() {
		t.Errorf("after three looks: %+v", e)
	}
}

// TestEarlierActionsSettleNothing: an action that was there before the attempt
// is no proof that the attempt arrived.
func TestEarlierActionsSettleNothing(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(1))
	must(t, c.Prior(map[string][]string{id(0): {"old"}}))
	begin(t, c, id(0))
	must(t, c.Doubt(id(0), journal.Failure{Reason: journal.ReasonUnknown}))
	if err := c.Accept(id(0), pending("old"), journal.Ours); !errors.Is(err, journal.ErrOtherAction) {
		t.Errorf("accept an earlier action as ours: %v", err)
	}
	must(t, c.Accept(id(0), pending("new"), journal.Ours))
	if err := c.Settle(id(0), withStatus(pending("third"), "Succeeded")); !errors.Is(err, journal.ErrOtherAction) {
		t.Errorf("settle with another action: %v", err)
	}
	must(t, c.Settle(id(0), withStatus(pending("new"), "InProgress")))
	if e := entry(t, c, id(0)); e.State != journal.Accepted || e.ActionID != "new" || e.Failure != nil {
		t.Errorf("entry %+v", e)
	}
}

// TestActionIsKeptAsReceived, byte for byte if it is JSON, else as text.
func TestActionIsKeptAsReceived(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(2))
	for n, raw := range []string{"{ \"id\" : \"x\",\n\t\"comment\":\"<a&b>\" }", "{truncat\xffed"} {
		begin(t, c, id(n))
		must(t, c.Accept(id(n), journal.Action{ID: "x", Raw: []byte(raw)}, journal.Ours))
		got := entry(t, c, id(n)).Action
		if n == 0 && string(got) != raw || !json.Valid(got) {
			t.Errorf("action %q came back as %q", raw, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(2))
	for n, applied := range []bool{true, false} {
		begin(t, c, id(n))
		must(t, c.Doubt(id(n), journal.Failure{Reason: journal.ReasonUnknown}))
		must(t, c.Verdict(id(n), applied, "called the owner", "anna"))
	}
	if e := entry(t, c, id(0)); e.State != journal.Accepted || e.Origin != journal.Verdict || e.Reason != "called the owner" {
		t.Errorf("applied: %+v", e)
	}
	must(t, c.Settle(id(0), withStatus(pending("seen later"), "Succeeded")))
	if e := entry(t, c, id(1)); e.State != journal.Planned || e.Failure.Reason != journal.ReasonVerdict {
		t.Errorf("not applied: %+v", e)
	}
	for e, err := range j.Events() {
		must(t, err)
		if e.Kind == journal.KindVerdict && (e.Operator != "anna" || e.Reason != "called the owner") {
			t.Errorf("event %+v", e)
		}
	}
}
