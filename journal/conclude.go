package journal

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// finding is a record of the new journal, and the event that it needs where the
// log that is taken over does not lead to it.
type finding struct {
	key    traceKey
	record *record
	before replay // by the log
	known  bool   // to the log
	lost   bool   // only events were left of it
	open   bool   // put in doubt, and a request is known to have been sent
}

// conclude decides what every machine of the new journal is. What the complete
// log says is believed. Without it, a machine is what it was seen settled as, since
// only a person's word leads back from there; every other one may have been sent in
// what is lost, and is in doubt.
func (f *findings) conclude(now time.Time) []*finding {
	all := make([]*finding, 0, len(f.traces))
	for key, t := range f.traces {
		all = append(all, f.concludeOne(key, t, now))
	}
	slices.SortFunc(all, func(a, b *finding) int {
		return cmp.Or(bytes.Compare(a.key.id[:], b.key.id[:]), cmp.Compare(a.key.campaign, b.key.campaign))
	})
	for i := 0; i < len(all); {
		n := i + 1
		for n < len(all) && all[n].key.id == all[i].key.id {
			n++
		}
		oneLive(all[i:n])
		i = n
	}
	return all
}

func (f *findings) concludeOne(key traceKey, t *trace, now time.Time) *finding {
	c := &finding{key: key, known: t.replayed != nil, lost: t.latest == nil}
	if c.known {
		c.before = *t.replayed
	}
	seen := t.retrace(f.names)
	if f.lost[key.campaign] {
		seen.Columns, seen.Carried = 0, nil // nobody knows the names of the columns any more
	}
	switch {
	case f.complete && c.known && t.attempts <= uint32(c.before.attempts): //nolint:gosec // a count
		c.record = seen
		c.record.state, c.record.attempts = c.before.state, uint32(c.before.attempts)                //nolint:gosec // a count
		c.record.notFound = uint32(c.before.notFound)                                                //nolint:gosec // a count
		c.record.authorised, c.record.passed = uint32(c.before.authorised), f.names[c.before.passed] //nolint:gosec // a count
	case f.complete && !c.known && t.attempts == 0 && (seen.state == Planned || seen.state == Excluded):
		c.record = seen
	case settled(seen.state):
		c.record = seen
	default:
		c.open = seen.state == Sending || seen.state == InDoubt
		c.record = doubted(seen, max(t.attempts, uint32(c.before.attempts)), now) //nolint:gosec // a count
	}
	return c
}

// retrace returns the machine's record brought up to its last event: a settled
// version where there is one, else the newest.
func (t *trace) retrace(names map[string]uint32) *record {
	r := &record{header: header{state: Planned}}
	if t.latest != nil {
		*r = *t.latest
	}
	if t.settled != nil && t.settled.authorised >= r.authorised {
		*r = *t.settled
	}
	for _, e := range t.events {
		known := int(r.authorised)
		if e.Authorised < known || e.Authorised == known && (!e.Time.After(r.updated) || settled(r.state) && !settled(e.To)) {
			continue // the record knows it, or better
		}
		r.follow(e, names)
	}
	return r
}

// follow takes into a record what an event says.
func (r *record) follow(e *Event, names map[string]uint32) {
	r.state, r.updated = e.To, e.Time
	r.attempts = max(r.attempts, uint32(e.Attempt)) //nolint:gosec // a count
	r.authorised = uint32(e.Authorised)             //nolint:gosec // a count
	if e.By != "" {
		r.passed = names[e.By]
	}
	if r.followCancellation(e) {
		return
	}
	switch e.Kind {
	case KindIntent:
		r.Sent, r.Answered, r.Failure, r.Cancel = e.Time, time.Time{}, nil, nil
	case KindAccepted, KindAdopted, KindSettled:
		if r.ActionID != e.ActionID {
			r.ActionID, r.action = e.ActionID, nil
		}
		r.Failure = nil
	case KindAuthorised:
		r.renew(e.Reason, e.ActionID)
	case KindExcluded, KindVerdict, KindReturned:
		r.Reason = e.Reason
	default: // the failure, if there is one, says it
	}
	if e.Origin != "" {
		r.origin = e.Origin
	}
	if e.Failure != nil {
		r.Failure = e.Failure
	}
}

// doubted makes a doubt of a machine that may have been sent in what is lost. A
// request that nobody knows of counts as an attempt, so that the next bears
// another mark.
func doubted(r *record, attempts uint32, now time.Time) *record {
	if r.state == Excluded {
		r.Leaving = cmp.Or(r.Reason, reasonLeft) // should it turn out not to have been sent
	}
	if r.state == Planned || r.state == Excluded {
		attempts++
	}
	r.state, r.attempts, r.notFound, r.updated = InDoubt, attempts, 0, now
	r.Failure = &Failure{Reason: ReasonDamaged, Message: "the journal was damaged; a request may have been sent"}
	return r
}

// oneLive leaves one record of a machine live, as the rule is: the doubt or the
// action that holds it for all campaigns. Looking for what was sent finds what
// any of them sent.
func oneLive(same []*finding) {
	var holder *finding
	for _, c := range same {
		if c.live() && (holder == nil || c.outranks(holder)) {
			holder = c
		}
	}
	for _, c := range same {
		if c == holder || !c.live() {
			continue
		}
		r := c.record
		if r.state == Succeeded {
			r.passed = holder.key.campaign // nothing but a person's word leads to an action after a success
			continue
		}
		if r.state, r.notFound = Planned, 0; r.Leaving != "" {
			r.state, r.Reason, r.Leaving = Excluded, r.Leaving, ""
		}
	}
}

func (c *finding) live() bool { return c.record.live(c.key.campaign) }

func (c *finding) outranks(other *finding) bool {
	rank := func(c *finding) int {
		switch {
		case settled(c.record.state):
			return 2
		case c.open:
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(c), rank(other)), c.record.updated.Compare(other.record.updated), cmp.Compare(c.key.campaign, other.key.campaign)) > 0
}

// event is what the log has to say of the record in addition; nil when it leads
// to it.
func (c *finding) event(campaign, passed string) *Event {
	r := c.record
	got := replay{r.state, int(r.attempts), int(r.notFound), int(r.authorised), passed}
	if c.known && got == c.before || !c.known && got == (replay{state: Planned}) || !c.known && got == (replay{state: Excluded}) {
		return nil
	}
	from := Planned
	if c.known {
		from = c.before.state
	}
	r.notFound = 0
	return &Event{Kind: KindSalvaged, Campaign: campaign, MachineID: c.key.id.String(), From: from, To: r.state,
		Attempt: int(r.attempts), Authorised: int(r.authorised), By: passed, ActionID: r.ActionID, Origin: r.origin, Failure: r.Failure}
}
