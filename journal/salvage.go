package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Salvaged says what [Salvage] could read of a damaged journal, and what it made
// of it.
type Salvaged struct {
	Chain      Chain // of the events that were taken over as they are
	Complete   bool  // these are certainly all that there were, so that nothing was sent that is not in them
	Beyond     int   // events after a gap, which only counted as evidence
	Machines   int   // records of the new journal
	Doubted    int   // of these, in doubt
	Rebuilt    int   // of these, made from events alone
	Missing    int   // machines that the campaigns had, by the log, and of which nothing is left
	Unreadable int   // pages that the system could not read
}

// Salvage makes a new journal of what can be read of a damaged one, which it
// never writes to. The new journal must not exist, and does not after an error.
//
// Every event and record carries its own checksum, so that each can be believed
// by itself; what none can tell is what is missing. Hence:
//
//   - When the event log is complete, it alone decides: it names every request.
//   - When it may lack events, a machine that was seen accepted or final stays
//     that, since only a person's word leads back from there; should one be lost,
//     the tenant, which counts as unread, tells before anything is sent. Every other
//     machine, a planned or an excluded one too, is in doubt. One that was excluded
//     is so again when the doubt turns out to be none.
//
// The log is complete only when both of the engine's meta pages are sound, the
// newer one tells the number of the last event, all events up to that number are
// there with their hashes, no later one was found, and it has been in every state
// that was noted of it elsewhere: an older copy of a journal is sound in itself.
//
// Machines that were on a list and of which no record and no event is left are
// unknown to the new journal. A campaign that lacks some sends nothing before it
// has taken its list again.
//
// T is what the journal belongs to where it cannot say so itself; where it can, the
// tenant's id has to be the same or empty. The error is an *[Error] that wraps [ErrLocked] while
// another process has the file open, [ErrForeign], [ErrDamaged] when nothing of
// it is left, [io/fs.ErrExist], or what the operating system says.
func Salvage(ctx context.Context, damaged, fresh string, t Tenant, o Options, noted ...Chain) (Salvaged, error) {
	done, err := salvage(ctx, damaged, fresh, t, o, noted)
	var known *Error
	if err != nil && !errors.As(err, &known) {
		err = &Error{Path: damaged, Op: "salvage", Hint: salvageHint(err), Err: err}
	}
	return done, err
}

func salvageHint(err error) string {
	if errors.Is(err, ErrDamaged) {
		return "restore a copy from before; the tenant's own action list tells what was sent since"
	}
	return hintFor(err)
}

func salvage(ctx context.Context, damaged, fresh string, t Tenant, o Options, noted []Chain) (Salvaged, error) {
	if _, err := os.Lstat(fresh); err == nil {
		return Salvaged{}, &Error{Path: fresh, Op: "salvage", Err: fs.ErrExist}
	}
	if err := inUse(damaged); err != nil {
		return Salvaged{}, err
	}
	f, unreadable, err := search(ctx, damaged)
	if err != nil {
		return Salvaged{}, err
	}
	if err := f.belongsTo(t); err != nil {
		return Salvaged{}, err
	}
	f.complete = f.complete && f.hasBeen(noted)
	var done Salvaged
	err = draft(fresh, func(path string) error {
		if done, err = f.write(path); err != nil {
			return err
		}
		return finishSalvage(ctx, path, o)
	})
	done.Unreadable = unreadable
	return done, err
}

// inUse refuses a file that another process has open. One that the engine cannot
// open at all nobody can be using.
func inUse(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrNotAJournal)
	}
	db, _, err := openBolt(path, true, time.Second)
	if err == nil {
		return guard(db.Close)
	}
	if errors.Is(err, ErrLocked) {
		return err
	}
	return nil
}

// search reads all that the file holds.
func search(ctx context.Context, path string) (*findings, int, error) {
	file, err := os.Open(path) //nolint:gosec // the path is the caller's choice
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	f := newFindings()
	unreadable, err := f.search(ctx, file, info.Size())
	return f, unreadable, err
}

// search takes what a file holds, and says how many of its pages could not be
// read.
func (f *findings) search(ctx context.Context, file io.ReaderAt, size int64) (unreadable int, err error) {
	s := &scan{f: file, size: size, pageSize: pageSizeOf(file), found: f.take}
	if err := s.pages(ctx); err != nil {
		return s.unreadable, err
	}
	last, certain := lastSequence(file, size)
	f.assemble(last, certain && s.unreadable == 0)
	return s.unreadable, nil
}

// hasBeen says whether the log has been in every state that was noted of it.
func (f *findings) hasBeen(noted []Chain) bool {
	for _, n := range noted {
		if n.Length > uint64(len(f.log)) || n.Length > 0 && f.log[n.Length-1].hash.String() != n.Head {
			return false
		}
	}
	return true
}

func (f *findings) belongsTo(t Tenant) error {
	switch {
	case len(f.campaigns) == 0 && len(f.events) == 0 && f.binding == nil:
		return fmt.Errorf("%w: nothing of a journal is left in it", ErrDamaged)
	case f.binding != nil && t.ID != "" && !strings.EqualFold(f.binding.ID, t.ID):
		return foreignError(f.binding.Tenant)
	case f.binding == nil && t.ID == "":
		return fmt.Errorf("%w: it does not say any more which tenant it belongs to", ErrDamaged)
	case f.binding == nil:
		f.binding = &binding{Tenant: Tenant{ID: strings.ToLower(t.ID), Cloud: t.Cloud}}
	}
	return nil
}
