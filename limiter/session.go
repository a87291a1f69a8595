package limiter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Every process that has the ledger open, a session, holds a lock on a small
// file of its own beside it. The operating system lets go of it when the process
// dies in whatever way, but not while it is merely stopped: who can lock
// another's file knows that its calls in flight have lost their owner.
//
// These files are made and removed only under the ledger's lock. Otherwise one
// could be taken for a dead session's between its creation and its locking.

const sessionSuffix = ".lock"

// reapInterval is the time between two looks for dead processes, and for news
// from living ones whose calls in flight we wait for.
const reapInterval = 200 * time.Millisecond

func (g *Ledger) sessionFile(session uint64) string {
	return fmt.Sprintf("%s.%016x%s", g.path, session, sessionSuffix)
}

// join makes this process known as alive.
func (g *Ledger) join() error {
	g.alive = flock.New(g.sessionFile(g.book.session))
	return g.alive.Lock()
}

// reap gives up the calls in flight of processes that are dead.
func (g *Ledger) reap() {
	now := g.clock.now()
	g.reaped = now
	dead := map[uint64]bool{}
	for i, s := range g.slots {
		if s.kind != inFlight || s.session == g.book.session {
			continue
		}
		gone, known := dead[s.session]
		if !known {
			gone = buried(g.sessionFile(s.session))
			dead[s.session] = gone
		}
		if gone {
			s.kind, s.stamp = givenUp, now
			g.set(i, s)
		}
	}
}

// reapDue says whether it is worth looking for dead processes again.
func (g *Ledger) reapDue() bool {
	return g.file != nil && g.book.foreign > 0 && g.clock.now()-g.reaped >= int64(reapInterval)
}

// sweep removes the files of dead sessions.
func (g *Ledger) sweep() error {
	entries, err := os.ReadDir(filepath.Dir(g.path))
	if err != nil {
		return err
	}
	prefix := filepath.Base(g.path) + "."
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, prefix) && len(name) == len(prefix)+16+len(sessionSuffix) {
			buried(filepath.Join(filepath.Dir(g.path), name))
		}
	}
	return nil
}

// buried says whether the session with this lock file is dead, and removes the
// file if so. In doubt it lives: its calls then merely count for longer.
func buried(path string) bool {
	f := flock.New(path, flock.SetFlag(os.O_RDONLY))
	ok, err := f.TryLock()
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if !ok || err != nil {
		return false
	}
	// If the file cannot be removed now, the next one to open the ledger does it.
	_, _ = f.Unlock(), os.Remove(path)
	return true
}

// pollInterval differs between processes, so that they do not keep meeting.
func (g *Ledger) pollInterval() time.Duration {
	return reapInterval + time.Duration(g.book.session%50)*time.Millisecond
}
