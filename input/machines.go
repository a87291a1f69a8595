package input

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
)

// Machines is a list of machines in little more memory than their text takes: a [Machine] is made when it is asked for.
// The zero value is empty. Copies share what they hold, and no more than one of them may be added to.
type Machines struct {
	text *pages
	at   []place
}

// pages are the machines' text, one after the other. A page that is full is never touched again, and parts of it are
// handed out as strings.
type pages struct {
	all  []*strings.Builder
	size int    // of the next page
	row  []byte // being packed
}

const (
	firstPage   = 4 << 10
	largestPage = 1 << 20
)

// place is where a machine begins: its page in the upper half, its offset in the lower.
type place uint64

// MachinesOf packs machines.
func MachinesOf(machines ...Machine) Machines {
	var l Machines
	for _, m := range machines {
		l.Add(m)
	}
	return l
}

// Len returns the number of machines.
func (l Machines) Len() int { return len(l.at) }

// At returns the machine at a place from 0 on.
func (l Machines) At(i int) Machine {
	u := l.text.unpacker(l.at[i])
	m := Machine{ID: u.id(), Line: u.number()}
	m.Name, m.AADDeviceID, m.Comment = u.next(), u.next(), u.next()
	if n := u.number(); n > 0 {
		m.Carried = make([]string, n)
		for i := range m.Carried {
			m.Carried[i] = u.next()
		}
	}
	return m
}

// All yields the machines in their order.
func (l Machines) All() iter.Seq[Machine] {
	return func(yield func(Machine) bool) {
		for i := range l.at {
			if !yield(l.At(i)) {
				return
			}
		}
	}
}

// Add adds a machine at the end and copies what it holds.
func (l *Machines) Add(m Machine) {
	if l.text == nil {
		l.text = &pages{size: firstPage}
	}
	l.at = append(l.at, l.text.add(&m))
}

// With returns the machines with more behind them, and leaves them as they are.
func (l Machines) With(more ...Machine) Machines {
	l.at = slices.Clip(l.at)
	for _, m := range more {
		l.Add(m)
	}
	return l
}

// Grow makes room for so many more machines.
func (l *Machines) Grow(n int) { l.at = slices.Grow(l.at, n) }

// Select returns the machines that are to be kept.
func (l Machines) Select(keep func(Machine) bool) Machines {
	for i := range l.at {
		if keep(l.At(i)) {
			continue
		}
		kept := slices.Clone(l.at[:i])
		for j := i + 1; j < len(l.at); j++ {
			if keep(l.At(j)) {
				kept = append(kept, l.at[j])
			}
		}
		return Machines{l.text, kept}
	}
	return Machines{l.text, slices.Clip(l.at)} // the common case takes no memory
}

// ByID yields the machines in the order of their ids, with their places.
func (l Machines) ByID() iter.Seq2[int, Machine] {
	type entry struct {
		begins uint64 // what the id begins with
		i      uint32
	}
	order := make([]entry, len(l.at))
	for i, at := range l.at {
		u := l.text.unpacker(at)
		order[i] = entry{u.idBegins(), uint32(i)}
	}
	slices.SortFunc(order, func(a, b entry) int {
		if c := cmp.Compare(a.begins, b.begins); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(l.At(int(a.i)).ID, l.At(int(b.i)).ID), cmp.Compare(a.i, b.i))
	})
	return func(yield func(int, Machine) bool) {
		for _, e := range order {
			if !yield(int(e.i), l.At(int(e.i))) {
				return
			}
		}
	}
}

// add packs a machine: its id, its line, its texts, and how many values it carries before these. An id is packed as the
// bytes that its digits stand for, if it is one, behind a 1. Every text comes behind its length.
func (p *pages) add(m *Machine) place {
	row := p.row[:0]
	if key, ok, upper := keyOf(m.ID); ok && !upper {
		row = append(append(row, 1), key[:]...)
	} else {
		row = appendText(append(row, 0), m.ID)
	}
	row = binary.AppendUvarint(row, uint64(max(0, m.Line)))
	row = appendText(appendText(appendText(row, m.Name), m.AADDeviceID), m.Comment)
	row = binary.AppendUvarint(row, uint64(len(m.Carried)))
	for _, value := range m.Carried {
		row = appendText(row, value)
	}
	p.row = row
	page := p.room(len(row))
	at := place(len(p.all)-1)<<32 | place(page.Len()) //nolint:gosec // counts pages
	_, _ = page.Write(row)                            // never fails
	return at
}

func keyOf(id string) (key idKey, ok, upper bool) {
	if len(id) != idLength {
		return key, false, false
	}
	return decodeID(id)
}

func appendText(row []byte, text string) []byte {
	return append(binary.AppendUvarint(row, uint64(len(text))), text...)
}

// room returns the last page, with room for so many bytes.
func (p *pages) room(n int) *strings.Builder {
	if last := len(p.all) - 1; last >= 0 && p.all[last].Cap()-p.all[last].Len() >= n {
		return p.all[last]
	}
	page := &strings.Builder{}
	page.Grow(max(n, p.size))
	p.size = min(2*p.size, largestPage)
	p.all = append(p.all, page)
	return page
}

// unpacker reads what add has written.
type unpacker string

func (p *pages) unpacker(at place) unpacker {
	return unpacker(p.all[at>>32].String()[uint32(at):]) //nolint:gosec // the lower half
}

func (u *unpacker) take(n int) string {
	text := string((*u)[:n])
	*u = (*u)[n:]
	return text
}

func (u *unpacker) number() (n int) {
	for shift := 0; ; shift += 7 {
		b := u.take(1)[0]
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (u *unpacker) next() string { return u.take(u.number()) }

func (u *unpacker) id() string {
	if u.take(1)[0] == 0 {
		return u.next()
	}
	var digits [idLength]byte
	hex.Encode(digits[:], []byte(u.take(idLength/2)))
	return string(digits[:])
}

// idBegins returns the first bytes of an id as a number that is ordered as the ids are; 0 of one that is none.
func (u *unpacker) idBegins() uint64 {
	if u.take(1)[0] == 0 {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(u.take(8)))
}
