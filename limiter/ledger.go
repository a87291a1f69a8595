package limiter

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// Ledger is the account of all calls that are still counted. [OpenLedger] keeps
// it in a file that survives restarts and kills and that the processes of one
// host share; use one file for each tenant, application and API, since that is
// what the service counts by. All its methods may be used concurrently.
//
// A [Limiter] takes a ledger over and closes it.
type Ledger struct {
	path     string
	readOnly bool

	// entered is held, like a mutex, by whoever uses what is below. It is a
	// channel, so that waiting for it can be cancelled.
	entered  chan struct{}
	file     *os.File     // nil in memory and when only reading
	lock     *fileLock    // of the file, between processes
	alive    *flock.Flock // says as long as it is held that this process lives
	clock    clock
	header   header // as last read or written
	slots    []slot // as last read or written, but for the unwritten ones
	book     book
	marks    map[mark]int   // where the pause and the even paces are
	mine     map[uint64]int // where this process's calls in flight are, by id
	changed  []int          // slots to be written
	deferred []func()       // what could not be recorded when it happened
	reaped   int64          // when we last looked for dead processes
	damage   Damage
	opened   Mark // as this process has entered itself in the file
	owned    bool // by a limiter
	closed   bool
}

// mark identifies a slot that is not a call: the pause, or the even pace of the
// quota whose window is so many nanoseconds.
type mark struct {
	kind   kind
	window uint64
}

// Call is a call that the caller's journal knows of.
type Call struct {
	ID       uint64    // its [Token.ID]
	Sent     time.Time // when it was begun
	Answered time.Time // when its answer was complete; zero: it never was
}

// Damage says what of a ledger file could not be read.
type Damage struct {
	// Header is set when a file was there and nothing of it could be used: the
	// account was begun anew from the recent calls.
	Header bool
	// Slots is the number of calls that could not be read. Each counts as a call
	// that was answered when the damage was found.
	Slots int
}

// Recent returns what the caller's journal knows of the calls of the time that the
// longest quota spans and that a ledger which has the mark may lack. Of the zero Mark
// that is all of them.
type Recent func(Mark) ([]Call, error)

func (r Recent) since(m Mark) ([]Call, error) {
	if r == nil {
		return nil, nil
	}
	return r(m)
}

// MemoryLedger returns a ledger without a file, for a single process that is to
// remember nothing but the recent calls of its journal; see [OpenLedger].
func MemoryLedger(recent []Call) *Ledger {
	g := newLedger("", 0)
	g.merge(recent)
	return g
}

func newLedger(path string, wrong time.Duration) *Ledger {
	session := newID()
	return &Ledger{
		path:    path,
		entered: make(chan struct{}, 1),
		clock:   newClock(wrong),
		header:  header{version: version, seq: newID()},
		book:    book{session: session, keep: maxStamp},
		marks:   map[mark]int{},
		mine:    map[uint64]int{},
	}
}

// Damage returns what could not be read of the file since it was opened.
func (g *Ledger) Damage() Damage {
	g.entered <- struct{}{}
	defer func() { <-g.entered }()
	return g.damage
}

// Path returns the ledger's file, "" in memory.
func (g *Ledger) Path() string { return g.path }

// Close gives up this process's calls in flight and leaves the ledger to the
// others. Only a ledger that no limiter was made for needs it. A second Close
// does nothing.
func (g *Ledger) Close() error {
	err := g.shut()
	if err == nil || errors.Is(err, ErrClosed) {
		return nil
	}
	return &Error{Op: "close ledger", Path: g.path, Err: err}
}

// shut does the work of Close. If the others keep the ledger locked, our calls
// stay in flight in it, and the next one to look finds us gone.
func (g *Ledger) shut() error {
	err := g.enterWithin(context.Background(), recordPatience)
	if errors.Is(err, ErrClosed) {
		return err
	}
	locked := err == nil
	if !locked {
		g.entered <- struct{}{}
	}
	if locked {
		now := g.clock.now()
		for id := range g.mine {
			g.settle(id, givenUp, now)
		}
		err = g.flush()
	}
	g.closed = true
	err = errors.Join(err, g.release(locked))
	<-g.entered
	return err
}

// release closes what the process holds of the file system. The session's lock
// file is removed only under the ledger's lock, as its creation is.
func (g *Ledger) release(locked bool) error {
	if g.file == nil {
		return nil
	}
	err := errors.Join(g.file.Close(), g.alive.Unlock())
	if locked {
		if gone := os.Remove(g.alive.Path()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return errors.Join(err, g.lock.Close())
}
