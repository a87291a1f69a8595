package limiter

import (
	"errors"
	"io"
	"os"

	"offboard/internal/failpoint"
)

// refresh brings a ledger that has just been locked up to date with its file.
func (g *Ledger) refresh() error {
	b := make([]byte, headerSize)
	if _, err := g.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h, ok := decodeHeader(b)
	switch {
	case !ok:
		// Someone destroyed the file under us. What we remember is the best account
		// there is.
		g.damage.Header = true
		if err := g.rewrite(); err != nil {
			return err
		}
	case h.version > version:
		return ErrVersion
	case h.seq != g.header.seq:
		g.clock.reach(h.newest)
		if err := g.reload(h); err != nil {
			return err
		}
	}
	g.prune()
	g.catchUp()
	return nil
}

// catchUp carries out what was put off.
func (g *Ledger) catchUp() {
	for _, operation := range g.deferred {
		operation()
	}
	g.deferred = nil
}

// reload reads what other processes have written since we last had the lock.
func (g *Ledger) reload(h header) error {
	known := map[mark]int64{}
	for m := range g.marks {
		known[m] = g.until(m)
	}
	if err := g.load(h); err != nil {
		return err
	}
	g.changed = g.changed[:0]
	g.assertMine()
	for m, until := range known {
		g.raise(m, until)
	}
	return nil
}

// load reads all slots. One that cannot be read counts as a call that was
// answered just now, and is written down as such, so that it ends some time.
func (g *Ledger) load(h header) error {
	b, err := readAll(g.file)
	if err != nil {
		return err
	}
	h.keep = max(h.keep, g.header.keep)
	g.header = h
	if g.book.keep != maxStamp {
		g.book.keep = h.keep
	}
	g.adopt(b)
	return nil
}

// adopt takes the slots of a file's bytes for its own.
func (g *Ledger) adopt(b []byte) {
	var bad []int
	g.slots, bad = decodeSlots(b[headerSize:])
	g.damage.Slots += len(bad)
	for _, i := range bad {
		g.slots[i] = slot{id: newID(), session: g.book.session, stamp: g.clock.now(), kind: answered}
	}
	g.index()
	g.changed = append(g.changed, bad...)
}

// assertMine makes the slots agree with what this process knows better than
// any file: which of its calls are in flight. They disagree if a write of ours
// failed half way, or if another process lost the file and began anew.
func (g *Ledger) assertMine() {
	now := g.clock.now()
	for i, s := range g.slots {
		if s.kind != inFlight || s.session != g.book.session {
			continue
		}
		if _, ok := g.mine[s.id]; !ok {
			s.kind, s.stamp = givenUp, now
			g.set(i, s)
		}
	}
	for id, i := range g.mine {
		want := slot{id: id, session: g.book.session, stamp: now, kind: inFlight}
		switch {
		case i >= len(g.slots) || g.slots[i].id != id:
			g.mine[id] = g.put(want)
		case g.slots[i].kind != inFlight:
			g.set(i, want)
		}
	}
}

// flush writes the changed slots in place, the header first: if we are killed
// in between, the others read on for nothing, instead of missing something.
// There is no sync; see the package comment.
func (g *Ledger) flush() error {
	if g.file == nil || len(g.changed) == 0 {
		g.changed = g.changed[:0]
		return nil
	}
	h := g.header
	h.seq++
	h.newest = max(h.newest, g.clock.last) // no stamp is newer
	b := appendHeader(make([]byte, 0, headerSize), h)
	if _, err := g.file.WriteAt(b, 0); err != nil {
		return err
	}
	for _, i := range g.changed {
		failpoint.Hit(failpoint.LedgerSlot)
		b = appendSlot(b[:0], g.slots[i])
		if _, err := g.file.WriteAt(b, headerSize+int64(i)*slotSize); err != nil {
			return err
		}
	}
	g.header, g.changed = h, g.changed[:0]
	return nil
}

// rewrite writes the whole file, the header last: if we are killed in between,
// the next one begins anew, as we did.
func (g *Ledger) rewrite() error {
	if err := g.file.Truncate(0); err != nil {
		return err
	}
	b := make([]byte, 0, len(g.slots)*slotSize)
	for _, s := range g.slots {
		b = appendSlot(b, s)
	}
	if _, err := g.file.WriteAt(b, headerSize); err != nil {
		return err
	}
	failpoint.Hit(failpoint.LedgerAnew)
	h := g.header
	h.seq = newID()
	h.newest = max(h.newest, g.clock.now())
	if _, err := g.file.WriteAt(appendHeader(nil, h), 0); err != nil {
		return err
	}
	g.header, g.changed = h, g.changed[:0]
	return nil
}

// readAll returns the file's bytes, as many as a ledger can have.
func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(info.Size(), headerSize+maxSlots*slotSize))
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil // others may have shortened it meanwhile
	}
	return b[:n], err
}
