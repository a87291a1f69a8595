//go:build unix

package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"offboard/journal"
)

// TestJournalVanishes: a journal that is moved, deleted or replaced while it is in
// use takes no intent that the next run would not find. Windows lets nobody do
// that to an open file.
func TestJournalVanishes(t *testing.T) {
	t.Parallel()
	for name, vanish := range map[string]func(t *testing.T, path, aside string){
		"moved":   func(t *testing.T, path, aside string) { t.Helper(); must(t, os.Rename(path, aside)) },
		"deleted": func(t *testing.T, path, _ string) { t.Helper(); must(t, os.Remove(path)) },
		"replaced": func(t *testing.T, path, aside string) {
			t.Helper()
			must(t, os.Rename(path, aside))
			copyFile(t, aside, path)
		},
		"written over by a rename": func(t *testing.T, path, aside string) {
			t.Helper()
			copyFile(t, path, aside)
			must(t, os.Rename(aside, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, aside := journalPath(t), filepath.Join(t.TempDir(), "aside")
			j, err := journal.Open(path, contoso, journal.Options{})
			must(t, err)
			defer j.Close()
			c := started(t, j, "spring", machines(3))
			begin(t, c, id(0))
			vanish(t, path, aside)
			var detail *journal.Error
			if _, err := c.Begin(id(1), 1); !errors.Is(err, journal.ErrReplaced) || !errors.As(err, &detail) || detail.Hint == "" {
				t.Errorf("begin: %v", err)
			}
			if err := c.Accept(id(0), pending("a"), journal.Ours); !errors.Is(err, journal.ErrReplaced) || !errors.Is(err, journal.ErrStopped) {
				t.Errorf("accept: %v", err)
			}
		})
	}
}

// TestLastOutcomeGoesWithTheFile: the outcome of the request that was under way is
// in the file that was moved.
func TestLastOutcomeGoesWithTheFile(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	c := started(t, j, "spring", machines(3))
	begin(t, c, id(0))
	aside := filepath.Join(t.TempDir(), "aside")
	must(t, os.Rename(path, aside))
	if err := c.Accept(id(0), pending("a"), journal.Ours); !errors.Is(err, journal.ErrReplaced) {
		t.Errorf("accept: %v", err)
	}
	must(t, j.Close())
	must(t, os.Rename(aside, path))
	c, err = mustOpen(t, path, journal.Options{}).Campaign("spring")
	must(t, err)
	if e := entry(t, c, id(0)); e.State != journal.Accepted {
		t.Errorf("put back, it has the machine as %s", e.State)
	}
}
