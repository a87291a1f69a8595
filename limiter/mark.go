package limiter

import (
	"context"
	"errors"
	"io"
	"os"
)

// Mark is a state that a ledger's file was in. The zero Mark is none: that of a
// ledger without a file, or one that cannot be read.
//
// A caller notes the mark that [Limiter.Sync] returned in its journal, with where the
// journal was by then. A ledger with a mark that the noted one precedes lacks none of
// the calls up to there, whatever happened to the power.
type Mark struct {
	Seq   uint64 `json:"seq,string"` // of the file's writes
	Slots int    `json:"slots"`      // that the file held at least
}

// writes bounds how often a ledger's file is written to in its life: its first number
// is random, and a file that was begun anew is taken for the one before it no more
// often than once in so many parts of 2⁶⁴.
const writes = 1 << 32

// Precedes says whether a ledger that now has the other mark is the one that had
// this one, and was only added to since.
func (m Mark) Precedes(other Mark) bool {
	return m.Seq != 0 && other.Seq-m.Seq < writes && m.Slots <= other.Slots
}

// mark is the state of the file as last read or written.
func (g *Ledger) mark() Mark { return Mark{g.header.seq, len(g.slots)} }

// markOf reads the mark of a file that others may be writing to.
func markOf(f *os.File) (Mark, error) {
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return Mark{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return Mark{}, err
	}
	return markIn(b, info.Size()), nil
}

func markIn(head []byte, size int64) Mark {
	h, ok := decodeHeader(head)
	if !ok || h.version > version {
		return Mark{}
	}
	return Mark{h.seq, int((size - headerSize) / slotSize)}
}

// Sync puts the ledger's file on the disk and returns its mark. It is zero, without an
// error, where the ledger is not in a file, or was lost and begun anew since it was
// opened, so that it may lack calls.
func (l *Limiter) Sync() (Mark, error) {
	m, err := l.ledger.sync()
	if err != nil {
		return Mark{}, ledgerError("sync", l.ledger.path, err)
	}
	return m, nil
}

func (g *Ledger) sync() (Mark, error) {
	if err := g.enterWithin(context.Background(), recordPatience); err != nil {
		return Mark{}, err
	}
	err := g.flush()
	m := g.mark()
	if err == nil && g.file != nil {
		err = g.file.Sync()
	}
	if err = errors.Join(err, g.leave()); err != nil || g.file == nil || !g.opened.Precedes(m) {
		return Mark{}, err
	}
	return m, nil
}
