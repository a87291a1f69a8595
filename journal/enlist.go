package journal

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"

	"offboard/internal/failpoint"
)

// reasonLeft is why a machine is excluded that is not on the newest list.
const reasonLeft = "no longer on the list"

// packed is how full pages are left while a list is written in the order of its
// keys: what an action adds to a record later makes a page split once.
const packed = 0.9

// enlistee is a machine of a list with its place in it.
type enlistee struct {
	id  rawID
	row uint32
	Machine
}

// own is whether the newest list decides about a machine of the campaign: it
// was not sent, or may turn out not to have been.
type own struct {
	id   rawID
	open bool
}

// Enlist takes a list into the campaign; the new list wins over earlier ones.
// Machines that are new become planned, or excluded if the list says so;
// planned ones that left the list become excluded, and excluded ones that are
// back become planned again; the details of these are refreshed. All others
// were sent, or may have been, and stay as they are. Those sending or in doubt
// that the list leaves out become excluded when they turn out not to have been
// sent, unless a later list has them back by then.
//
// It works in pieces. From the first until the last is on disk the campaign is
// not enlisted and sends nothing, so that after a kill the list has to be taken
// again, which does no harm. One event records the list; a machine that is
// excluded or returns has an event of its own.
func (c *Campaign) Enlist(e Enlistment) (Enlisted, error) {
	c.planning.Lock()
	defer c.planning.Unlock()
	list, err := inOrder(e)
	if err == nil {
		var done Enlisted
		if done, err = c.enlist(e, list); err == nil {
			return done, nil
		}
	}
	return Enlisted{}, c.j.explainCampaign("enlist", c.name, err)
}

func (c *Campaign) enlist(e Enlistment, list iter.Seq[enlistee]) (Enlisted, error) {
	var done Enlisted
	columns := distinct(e.Columns)
	set := 0
	err := c.j.do("enlist", func(b *batch) error {
		c.put(b, c.edited(func(r *campaignRecord) {
			r.Enlisted, r.Columns = false, columns
			set = r.columnSet(columns)
		}))
		return nil
	})
	if err != nil {
		return done, err
	}
	failpoint.Hit(failpoint.ListOpened)
	if err := c.excludeLeavers(list, &done); err != nil {
		return done, err
	}
	for chunk := range chunks(list) {
		if err := c.inBulk(&done, func(b *batch, n *Enlisted) error { return c.take(b, chunk, set, n) }); err != nil {
			return done, err
		}
		failpoint.Hit(failpoint.ListTaken)
	}
	return done, c.finishList(e.List, &done)
}

// chunks yields a list in pieces, each for one transaction and valid until the next.
func chunks(list iter.Seq[enlistee]) iter.Seq[[]enlistee] {
	return func(yield func([]enlistee) bool) {
		chunk := make([]enlistee, 0, chunkSize)
		for m := range list {
			if chunk = append(chunk, m); len(chunk) < chunkSize {
				continue
			}
			if !yield(chunk) {
				return
			}
			chunk = chunk[:0]
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

// inBulk carries out a piece of an enlistment and adds up what it changed.
func (c *Campaign) inBulk(done *Enlisted, piece func(*batch, *Enlisted) error) error {
	var n Enlisted
	err := c.j.do("enlist", func(b *batch) error {
		b.machines.FillPercent = packed
		return piece(b, &n)
	})
	if err != nil {
		return err
	}
	done.Added += n.Added
	done.Refreshed += n.Refreshed
	done.Excluded += n.Excluded
	done.Returned += n.Returned
	return nil
}

// inOrder returns a list in the order of the keys, without repetitions. One that is in
// this order is not kept, and is gone through again with each use.
func inOrder(e Enlistment) (iter.Seq[enlistee], error) {
	ascending, n := true, 0
	var last rawID
	for m := range e.Machines {
		id, err := parseID(m.ID)
		if err != nil {
			return nil, &Error{Op: "enlist", Machine: m.ID, Err: err}
		}
		ascending = ascending && (n == 0 || compareIDs(last, id) < 0)
		last = id
		n++
	}
	if ascending {
		return enlistees(e), nil
	}
	list := slices.AppendSeq(make([]enlistee, 0, n), enlistees(e))
	slices.SortStableFunc(list, func(a, b enlistee) int { return compareIDs(a.id, b.id) })
	return slices.Values(slices.CompactFunc(list, func(a, b enlistee) bool { return a.id == b.id })), nil
}

// enlistees yields the machines of a list, whose ids are known to be some.
func enlistees(e Enlistment) iter.Seq[enlistee] {
	return func(yield func(enlistee) bool) {
		n := 0
		for m := range e.Machines {
			n++
			id, _ := parseID(m.ID)
			if !yield(enlistee{id, uint32(cmp.Or(m.Row, n)), m}) { //nolint:gosec // a list of 2³² machines does not fit into memory
				return
			}
		}
	}
}

// distinct makes the names of columns distinct, so that no carried value hides
// another.
func distinct(columns []string) []string {
	names := make([]string, 0, len(columns))
	for _, column := range columns {
		name := column
		for n := 2; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s (%d)", column, n)
		}
		names = append(names, name)
	}
	return names
}

// columnSet returns the number of a set of columns, which it adds if it is new.
func (r *campaignRecord) columnSet(columns []string) int {
	for i, set := range r.ColumnSets {
		if slices.Equal(set, columns) {
			return i
		}
	}
	r.ColumnSets = append(r.ColumnSets, columns)
	return len(r.ColumnSets) - 1
}

// excludeLeavers excludes the planned machines that are not on the list, and
// notes of those that may be sent already that they left it.
func (c *Campaign) excludeLeavers(list iter.Seq[enlistee], done *Enlisted) error {
	var leavers []rawID
	next, stop := iter.Pull(list)
	defer stop()
	listed, more := next()
	isOpen := func(_ *Campaign, id rawID, s *sight) (own, error) {
		state := s.ownHeader.state
		return own{id, state == Planned || state == Sending || state == InDoubt}, nil
	}
	for m, err := range readMachines(c.j, "enlist", c.name, standingChunk, seen(c, nil, isOpen)) {
		if err != nil {
			return err
		}
		for more && compareIDs(listed.id, m.id) < 0 { // both are in the order of the ids
			listed, more = next()
		}
		if m.open && (!more || listed.id != m.id) {
			leavers = append(leavers, m.id)
		}
	}
	for chunk := range slices.Chunk(leavers, chunkSize) {
		if err := c.inBulk(done, func(b *batch, n *Enlisted) error { return c.dismiss(b, chunk, n) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Campaign) dismiss(b *batch, ids []rawID, n *Enlisted) error {
	ch := changes{b: b}
	for _, id := range ids {
		key := id.key(c.number)
		r, err := b.record(key)
		if err != nil {
			return err
		}
		// Somebody may have moved it since it was read.
		switch {
		case r == nil:
		case r.state == Planned:
			ch.add(key, r, c.exclude(id, r, reasonLeft))
			n.Excluded++
		case r.leave(reasonLeft):
			ch.note(key, r)
		}
	}
	ch.write()
	return nil
}

func (c *Campaign) exclude(id rawID, r *record, reason string) *Event {
	r.state, r.Reason = Excluded, reason
	return &Event{Kind: KindExcluded, Campaign: c.name, MachineID: id.String(), From: Planned, To: Excluded,
		Attempt: int(r.attempts), Authorised: int(r.authorised), Reason: reason}
}

// take brings a piece of the list into the campaign.
func (c *Campaign) take(b *batch, list []enlistee, set int, n *Enlisted) error {
	ch := changes{b: b}
	for _, m := range list {
		key := m.id.key(c.number)
		r, err := b.record(key)
		if err != nil {
			return err
		}
		if r == nil {
			r = &record{header: header{state: Planned}}
			m.describe(r, set)
			if m.Exclude != "" {
				r.state, r.Reason = Excluded, m.Exclude
			}
			ch.add(key, r, nil)
			n.Added++
			continue
		}
		c.retake(&ch, key, r, m, set, n)
	}
	ch.write()
	return nil
}

// retake brings a machine up to date that the campaign knows already.
func (c *Campaign) retake(ch *changes, key []byte, r *record, m enlistee, set int, n *Enlisted) {
	if r.leave(m.Exclude) {
		ch.note(key, r)
	}
	if r.state != Planned && r.state != Excluded {
		return
	}
	changed := m.describe(r, set)
	switch {
	case r.state == Planned && m.Exclude != "":
		ch.add(key, r, c.exclude(m.id, r, m.Exclude))
		n.Excluded++
	case r.state == Excluded && m.Exclude == "" && r.holds(c.number):
		// Another campaign was authorised meanwhile to send it after the success here.
	case r.state == Excluded && m.Exclude == "":
		r.state, r.Reason = Planned, ""
		ch.add(key, r, &Event{Kind: KindReturned, Campaign: c.name, MachineID: m.id.String(), From: Excluded, To: Planned,
			Attempt: int(r.attempts), Authorised: int(r.authorised)})
		n.Returned++
	case changed || r.state == Excluded && r.Reason != m.Exclude:
		if r.state == Excluded {
			r.Reason = m.Exclude
		}
		ch.add(key, r, nil)
		n.Refreshed++
	}
}

// describe writes what the list says of a machine into its record and reports
// whether that is new.
func (m *enlistee) describe(r *record, set int) bool {
	if r.row == m.row && r.Name == m.Name && r.Comment == m.Comment && r.Columns == set && slices.Equal(r.Carried, m.Carried) {
		return false
	}
	r.row, r.Name, r.Comment, r.Columns, r.Carried = m.row, m.Name, m.Comment, set, m.Carried
	return true
}

// finishList makes the list the campaign's. Only now may it send.
func (c *Campaign) finishList(list ListInfo, done *Enlisted) error {
	return c.j.do("enlist", func(b *batch) error {
		machines := countRecords(b.machines, c.number)
		done.Unchanged = machines - done.Added - done.Refreshed - done.Excluded - done.Returned
		r := c.edited(func(r *campaignRecord) { r.Enlisted, r.List = true, list })
		c.put(b, r)
		b.putEvent(&Event{Kind: KindEnlisted, Campaign: c.name, Operator: c.j.operator, Info: &r.Info,
			Changes: done, Machines: machines})
		return nil
	})
}

func countRecords(bucket *bolt.Bucket, campaign uint32) int {
	n := 0
	cursor := bucket.Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		if len(key) == keySize && binary.BigEndian.Uint32(key[idSize:]) == campaign {
			n++
		}
	}
	return n
}
