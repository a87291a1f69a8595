package limiter

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// OpenLedger opens the ledger in the file, or creates it and the directories
// that it lies in, readable by the user alone. Other processes may have it open.
// Beside it are a lock file and one for each process that has it open.
//
// Calls that were in flight in a process that has died are given up now. Recent
// tells what the caller's journal knows of the time that the longest quota spans
// and the ledger may lack; nil: nothing. Those that the ledger does not know are
// added: all of them if it is missing, the last few if a power cut took them. One
// without an answer counts as given up now, one from the future as answered now.
//
// A file that is not a ledger, or is damaged beyond reading, is begun anew, and
// [Ledger.Damage] says so. Errors are of type *[Error] and wrap [ErrVersion],
// [ErrBusy], what the file system says or what recent does.
func OpenLedger(path string, recent Recent) (*Ledger, error) {
	return openLedger(path, recent, 0)
}

// openLedger is OpenLedger with a wall clock that is wrong by so much.
func openLedger(path string, recent Recent, wrong time.Duration) (*Ledger, error) {
	g := newLedger(path, wrong)
	if err := g.open(recent); err != nil {
		return nil, ledgerError("open ledger", path, err)
	}
	return g, nil
}

func (g *Ledger) open(recent Recent) error {
	if err := os.MkdirAll(filepath.Dir(g.path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(g.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	// Before the lock is taken: a journal may take its time.
	found, err := markOf(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	calls, err := recent.since(found)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	g.lock = &fileLock{path: g.path + sessionSuffix}
	if err := g.lockToOpen(); err != nil {
		return errors.Join(err, file.Close(), g.lock.Close())
	}
	g.file = file
	if err := g.begin(found, calls, recent); err != nil {
		return errors.Join(err, file.Close(), g.lock.Close())
	}
	return g.lock.Unlock()
}

// lockToOpen takes the ledger's lock while nobody else knows this Ledger.
func (g *Ledger) lockToOpen() error {
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	err := g.lock.TryLockContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrBusy
	}
	return err
}

// begin reads the ledger, or makes a new one, and enters this process in it.
// Calls are what is to be added to a ledger that had the mark.
func (g *Ledger) begin(found Mark, calls []Call, recent Recent) error {
	b, err := readAll(g.file)
	if err != nil {
		return err
	}
	fresh, err := g.adoptImage(b)
	if err != nil {
		return err
	}
	if found != (Mark{}) && !found.Precedes(g.mark()) {
		// Somebody destroyed it just now.
		if calls, err = recent.since(Mark{}); err != nil {
			return err
		}
	}
	if err := g.sweep(); err != nil {
		return err
	}
	if err := g.join(); err != nil {
		return err
	}
	g.reap()
	g.merge(calls)
	if fresh {
		err = g.rewrite()
	} else {
		err = g.flush()
	}
	if err != nil {
		_, _ = g.alive.Unlock(), os.Remove(g.alive.Path())
	}
	g.opened = g.mark()
	return err
}

// adoptImage takes the bytes of a whole ledger file for its own; fresh says that
// there was nothing to take.
func (g *Ledger) adoptImage(b []byte) (fresh bool, err error) {
	h, ok := decodeHeader(b)
	switch {
	case !ok:
		g.damage.Header = len(b) > 0
		return true, nil
	case h.version > version:
		return false, ErrVersion
	}
	g.clock.reach(h.newest)
	g.header = h
	g.adopt(b)
	return false, nil
}

// merge adds the calls that the ledger does not know. The wall clock that they
// were stamped with may since have been set back, and our time line moved on
// from it; then they are moved with it, since too late is safe and too early
// is not.
func (g *Ledger) merge(recent []Call) {
	if len(recent) == 0 {
		return
	}
	now := g.clock.now()
	known := map[uint64]bool{}
	for _, s := range g.slots {
		if s.isCall() {
			known[s.id] = true
		}
	}
	for _, c := range recent {
		if known[c.ID] {
			continue
		}
		known[c.ID] = true
		s := slot{id: c.ID, session: g.book.session, stamp: now, kind: givenUp}
		if !c.Answered.IsZero() {
			s.kind = answered
			s.stamp = min(now, max(0, c.Answered.UnixNano()+g.clock.ahead()))
		}
		g.put(s)
	}
}

// ReadLedger reads the ledger for a forecast. It creates, locks and changes
// nothing; a missing file is an empty ledger, and a damaged one is what is left
// of it and the recent calls. [Limiter.Take] fails over it with [ErrReadOnly].
// Errors are as those of [OpenLedger], without ErrBusy.
func ReadLedger(path string, recent Recent) (*Ledger, error) {
	g := newLedger(path, 0)
	g.readOnly = true
	b, err := snapshot(path)
	if err == nil {
		_, err = g.adoptImage(b)
	}
	var calls []Call
	if err == nil {
		calls, err = recent.since(markIn(b, int64(len(b))))
	}
	if err != nil {
		return nil, ledgerError("read ledger", path, err)
	}
	g.merge(calls)
	return g, nil
}

// snapshot reads a file that others may be writing to. What they write in the
// meantime shows in the header's sequence, and then it is read again.
func snapshot(path string) ([]byte, error) {
	const attempts = 5
	f, err := os.Open(path) //nolint:gosec // the caller's own ledger is meant to be read
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for attempt := 1; ; attempt++ {
		b, err := readAll(f)
		if err != nil {
			return nil, err
		}
		again := make([]byte, headerSize)
		n, err := f.ReadAt(again, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		// If it changes all the time, a slot or two may be torn, and count as calls.
		if attempt == attempts || string(again[:n]) == string(b[:min(len(b), headerSize)]) {
			return b, nil
		}
	}
}

func ledgerError(op, path string, err error) error {
	e := &Error{Op: op, Path: path, Err: err}
	switch {
	case errors.Is(err, ErrVersion):
		e.Hint = "use the newer version, or remove the file when none of its calls are an hour old"
	case errors.Is(err, ErrBusy):
		e.Hint = "another process that uses the ledger is stopped or hangs; end it or let it go on"
	}
	return e
}
