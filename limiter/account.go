package limiter

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// newID returns a random number that is not zero.
func newID() uint64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

// set puts a record in a slot that is in use or was just taken.
func (g *Ledger) set(i int, s slot) {
	g.book.drop(i, g.slots[i])
	g.slots[i] = s
	g.book.add(i, s)
	g.changed = append(g.changed, i)
}

// put records something new in a free slot, or in one more.
func (g *Ledger) put(s slot) int {
	i, ok := g.book.take()
	if !ok {
		i = len(g.slots)
		g.slots = append(g.slots, slot{})
	}
	g.set(i, s)
	return i
}

// spend records a new call in flight.
func (g *Ledger) spend(now int64) uint64 {
	id := newID()
	g.mine[id] = g.put(slot{id: id, session: g.book.session, stamp: now, kind: inFlight})
	return id
}

// settle records how one of this process's calls in flight ended: answered,
// givenUp, or free if it does not count. It may be settled already, by Close.
func (g *Ledger) settle(id uint64, k kind, now int64) {
	i, ok := g.mine[id]
	if !ok {
		return
	}
	delete(g.mine, id)
	if k == free {
		g.set(i, slot{})
		return
	}
	g.set(i, slot{id: id, session: g.book.session, stamp: now, kind: k})
}

// raise moves a mark further into the future, never back.
func (g *Ledger) raise(m mark, until int64) {
	if until <= g.until(m) {
		return
	}
	s := slot{id: m.window, stamp: until, kind: m.kind}
	if i, ok := g.marks[m]; ok {
		g.set(i, s)
		return
	}
	g.marks[m] = g.put(s)
}

// until returns the moment of a mark, 0 if it is not set.
func (g *Ledger) until(m mark) int64 {
	if i, ok := g.marks[m]; ok {
		return g.slots[i].stamp
	}
	return 0
}

// prune frees the slots of what is over. In the file they keep their old
// records until they are used again; whoever reads those finds them over too.
func (g *Ledger) prune() {
	now := g.clock.now()
	for {
		i, ok := g.book.expire(now)
		if !ok {
			break
		}
		g.slots[i] = slot{}
		g.book.add(i, slot{})
	}
	for m, i := range g.marks {
		if g.slots[i].stamp <= now {
			delete(g.marks, m)
			g.slots[i] = slot{}
			g.book.add(i, slot{})
		}
	}
}

// index arranges the slots anew, after they were read or the configuration
// became known. Stamps from the future are moved to now, and marks no further
// away than they can have been set.
func (g *Ledger) index() {
	now := g.clock.now()
	g.book.clear(len(g.slots))
	clear(g.marks)
	for i, s := range g.slots {
		switch s.kind {
		case free:
		case inFlight, answered, givenUp:
			s.stamp = min(s.stamp, now)
		case paused, evenly:
			s = g.indexMark(i, s, now)
		default:
		}
		g.slots[i] = s
		g.book.collect(i, s)
	}
	g.book.sort()
}

// indexMark returns the mark as it is to stand in slot i: free if it is there
// twice, which no process of ours writes.
func (g *Ledger) indexMark(i int, s slot, now int64) slot {
	m := mark{s.kind, s.id}
	if _, twice := g.marks[m]; twice {
		return slot{}
	}
	g.marks[m] = i
	s.stamp = min(s.stamp, now+int64(longestPause)+unbits(min(s.id, bits(int64(maxSpan)))))
	return s
}

// configure tells the ledger what its limiter counts, and indexes it by that.
func (g *Ledger) configure(longest, late time.Duration) {
	g.header.keep = max(g.header.keep, int64(longest+late))
	g.book.keep, g.book.late = g.header.keep, int64(late)
	g.index()
	g.prune()
}
