package limiter

import (
	"cmp"
	"slices"
	"sort"
)

// spent is a call that is over but still counted.
type spent struct {
	base int64 // the call cannot have reached the server after this
	slot int
}

// book is the account of the slots, arranged for the two questions that
// matter: how many calls a window counts, and when it counts one fewer.
type book struct {
	late    int64 // added to the moment a call was given up
	keep    int64 // bases older than this count for nobody
	session uint64

	over    []spent // by base, oldest first
	flying  int     // calls in flight
	foreign int     // those of them that other processes have
	free    []int   // slots to use next
}

// base returns the latest moment that a call that is over can have reached the
// server.
func (b *book) base(s slot) int64 {
	if s.kind == givenUp {
		return s.stamp + b.late
	}
	return s.stamp
}

// at finds where a base belongs among those that are over, after its equals.
func (b *book) at(base int64) int {
	return sort.Search(len(b.over), func(i int) bool { return b.over[i].base > base })
}

// clear empties the book for that many slots, which collect and sort then fill.
func (b *book) clear(slots int) {
	*b = book{late: b.late, keep: b.keep, session: b.session, over: make([]spent, 0, slots)}
}

// collect is add without the order, which sort makes in the end.
func (b *book) collect(i int, s slot) {
	if s.kind == answered || s.kind == givenUp {
		b.over = append(b.over, spent{b.base(s), i})
		return
	}
	b.add(i, s)
}

func (b *book) sort() {
	slices.SortFunc(b.over, func(x, y spent) int { return cmp.Compare(x.base, y.base) })
}

// add enters a slot that was free.
func (b *book) add(i int, s slot) {
	switch s.kind {
	case free:
		b.free = append(b.free, i)
	case inFlight:
		b.fly(s, 1)
	case answered, givenUp:
		base := b.base(s)
		b.over = slices.Insert(b.over, b.at(base), spent{base, i})
	default:
	}
}

// drop takes out a slot that was added, before it is used for something else.
// A free slot leaves by take only.
func (b *book) drop(i int, s slot) {
	switch s.kind {
	case inFlight:
		b.fly(s, -1)
	case answered, givenUp:
		for at := b.at(b.base(s)) - 1; at >= 0; at-- {
			if b.over[at].slot == i {
				b.over = slices.Delete(b.over, at, at+1)
				return
			}
		}
	default:
	}
}

func (b *book) fly(s slot, n int) {
	b.flying += n
	if s.session != b.session {
		b.foreign += n
	}
}

// take hands out a free slot, or false.
func (b *book) take() (int, bool) {
	last := len(b.free) - 1
	if last < 0 {
		return 0, false
	}
	i := b.free[last]
	b.free = b.free[:last]
	return i, true
}

// expire takes out the oldest call if nobody counts it any more.
func (b *book) expire(now int64) (int, bool) {
	if len(b.over) == 0 || b.over[0].base > now-b.keep {
		return 0, false
	}
	i := b.over[0].slot
	b.over = b.over[1:]
	return i, true
}

// live returns the calls that are over and that the window up to now counts.
func (b *book) live(now, window int64) []spent { return b.over[b.at(now-window):] }

// opens returns the moment when a window that may hold n calls has room for one
// more; known is false if that depends on calls in flight.
func (b *book) opens(now, window int64, n int) (moment int64, known bool) {
	live := b.live(now, window)
	excess := len(live) + b.flying - n
	switch {
	case excess < 0:
		return now, true
	case excess < len(live):
		return live[excess].base + window, true
	default:
		return 0, false
	}
}
