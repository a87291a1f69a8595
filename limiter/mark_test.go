package limiter

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// asked opens a ledger and returns the marks that the journal was asked about.
func asked(t *testing.T, path string) (marks []Mark) {
	t.Helper()
	g, err := OpenLedger(path, func(m Mark) ([]Call, error) {
		marks = append(marks, m)
		return nil, nil
	})
	must(t, err)
	must(t, g.Close())
	return marks
}

// TestMark: the mark of a synced ledger precedes that of the same file later on, and
// of no file that may lack what it held.
func TestMark(t *testing.T) {
	t.Parallel()
	older := func(path string) error { return copyTo(path, path+".older") }
	none := func(string) error { return nil }
	for name, test := range map[string]struct {
		before, spoil func(path string) error
		lacks         bool
	}{
		"untouched":        {none, none, false},
		"used again":       {none, func(path string) error { return use(t, path) }, false},
		"missing":          {none, os.Remove, true},
		"shortened":        {none, func(path string) error { return os.Truncate(path, headerSize) }, true},
		"an older copy":    {older, func(path string) error { return copyTo(path+".older", path) }, true},
		"header destroyed": {none, func(path string) error { return os.Truncate(path, headerSize-1) }, true},
		"begun anew":       {none, func(path string) error { return errors.Join(os.Remove(path), use(t, path)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger")
			must(t, use(t, path))
			must(t, test.before(path))
			l := mustNew(t, Config{Ledger: mustOpen(t, path)})
			mustTake(t, l).Answered()
			noted, err := l.Sync()
			must(t, err)
			must(t, l.Close())
			must(t, test.spoil(path))
			marks := asked(t, path)
			if len(marks) != 1 || noted.Precedes(marks[0]) == test.lacks {
				t.Errorf("noted %+v, found %+v", noted, marks)
			}
		})
	}
}

func use(t *testing.T, path string) error {
	t.Helper()
	l := mustNew(t, Config{Ledger: mustOpen(t, path)})
	mustTake(t, l).Answered()
	return l.Close()
}

func copyTo(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// TestNoMark: what may lack calls has none.
func TestNoMark(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inMemory := mustNew(t, Config{})
	lost := mustNew(t, Config{Ledger: mustOpen(t, filepath.Join(dir, "lost"))})
	mustTake(t, lost).Answered()
	must(t, os.Truncate(filepath.Join(dir, "lost"), 0))
	must(t, use(t, filepath.Join(dir, "lost"))) // without the call
	alone := mustNew(t, Config{Ledger: mustOpen(t, filepath.Join(dir, "alone"))})
	alone.ledger.detach()
	for name, l := range map[string]*Limiter{"in memory": inMemory, "begun anew by another process": lost, "alone": alone} {
		if m, err := l.Sync(); err != nil || m != (Mark{}) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	must(t, lost.Close())
	if _, err := lost.Sync(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if (Mark{}).Precedes(Mark{1, 1}) || (Mark{5, 1}).Precedes(Mark{4, 1}) || (Mark{5, 2}).Precedes(Mark{6, 1}) || (Mark{5, 2}).Precedes(Mark{}) {
		t.Error("a mark precedes what it does not")
	}
}

// TestLostWhileTheJournalIsRead: a ledger that is destroyed between the look at its
// mark and its opening gets all that the journal knows.
func TestLostWhileTheJournalIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	must(t, use(t, path))
	now, asked := time.Now(), 0
	g, err := OpenLedger(path, func(m Mark) ([]Call, error) {
		if asked++; asked == 1 {
			return nil, os.Truncate(path, 0)
		}
		if m != (Mark{}) {
			t.Errorf("asked for what %+v lacks", m)
		}
		return []Call{{ID: 1, Sent: now, Answered: now}}, nil
	})
	must(t, err)
	if s := mustNew(t, Config{Ledger: g}).Status(); s.Quotas[0].Used != 1 || asked != 2 {
		t.Errorf("asked %d times, counts %+v", asked, s)
	}
}

// TestJournalUnread: a ledger is not opened without what the journal has to say.
func TestJournalUnread(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	for name, open := range map[string]func(string, Recent) (*Ledger, error){"to write": OpenLedger, "to read": ReadLedger} {
		if _, err := open(path, func(Mark) ([]Call, error) { return nil, os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
