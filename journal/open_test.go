package journal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"offboard/journal"
)

func TestOpenCreates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "offboard", "contoso.journal")
	first := mustOpen(t, path, journal.Options{})
	if !first.Created() || first.Path() != path || first.Tenant() != contoso {
		t.Errorf("created %v, path %s, tenant %v", first.Created(), first.Path(), first.Tenant())
	}
	info, err := os.Stat(path)
	must(t, err)
	dir, err := os.Stat(filepath.Dir(path))
	must(t, err)
	if runtime.GOOS != "windows" && (info.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700) {
		t.Errorf("modes %v and %v", info.Mode(), dir.Mode())
	}
	names, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	must(t, first.Close())
	must(t, first.Close())
	second := mustOpen(t, path, journal.Options{})
	if second.Created() {
		t.Error("an old journal counts as created")
	}
}

func TestOpenTakesTheTenantAsItIs(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	must(t, mustOpen(t, path, journal.Options{}).Close())
	j, err := journal.Open(path, journal.Tenant{}, journal.Options{ReadOnly: true})
	must(t, err)
	defer j.Close()
	if j.Tenant() != contoso {
		t.Errorf("tenant %v", j.Tenant())
	}
	if _, err := j.StartCampaign(journal.Info{Name: "spring"}); !errors.Is(err, journal.ErrReadOnly) {
		t.Errorf("write to a journal open for reading: %v", err)
	}
	other, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
	must(t, err)
	must(t, other.Close())
}

// TestOpenRefuses: whatever is refused is left as it was.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	edit := func(change func(tx *bolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			j, err := journal.Open(path, contoso, journal.Options{})
			must(t, err)
			must(t, j.Close())
			db, err := bolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, db.Update(change))
			must(t, db.Close())
		}
	}
	content := func(b string) func(*testing.T, string) {
		return func(t *testing.T, path string) { t.Helper(); must(t, os.WriteFile(path, []byte(b), 0o600)) }
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		tenant  journal.Tenant
		want    error
	}{
		{"nothing there and no tenant", func(*testing.T, string) {}, journal.Tenant{}, fs.ErrNotExist},
		{"empty file", content(""), contoso, journal.ErrNotAJournal},
		{"text", content("id,name\n"), contoso, journal.ErrNotAJournal},
		{"much text", content(string(make([]byte, 1<<16))), contoso, journal.ErrNotAJournal},
		{"directory", func(t *testing.T, path string) { t.Helper(); must(t, os.Mkdir(path, 0o700)) }, contoso, journal.ErrNotAJournal},
		{"somebody else's bbolt file", func(t *testing.T, path string) {
			t.Helper()
			db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
			must(t, err)
			must(t, db.Close())
		}, contoso, journal.ErrNotAJournal},
		{"other tenant", edit(func(*bolt.Tx) error { return nil }), journal.Tenant{ID: "fabrikam", Cloud: "public"}, journal.ErrForeign},
		{"other cloud", edit(func(*bolt.Tx) error { return nil }), journal.Tenant{ID: contoso.ID, Cloud: "gcc"}, journal.ErrForeign},
		{"newer schema", edit(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("version"), []byte{0, 0, 0, 2})
		}), contoso, journal.ErrVersion},
		{"no schema", edit(func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("version")) }), contoso, journal.ErrDamaged},
		{"changed binding", edit(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("binding"), []byte(`{"tenant":"x"}    `))
		}), contoso, journal.ErrDamaged},
		{"no machines", edit(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("machines")) }), contoso, journal.ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "contoso.journal")
			test.prepare(t, path)
			before, _ := os.ReadFile(path)
			_, err := journal.Open(path, test.tenant, journal.Options{})
			var detail *journal.Error
			if !errors.Is(err, test.want) || !errors.As(err, &detail) || detail.Path != path {
				t.Fatalf("got %v, want %v with the path", err, test.want)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused file was changed")
			}
		})
	}
}

// TestLocked: a second writer, and a reader beside a writer, are refused within
// the time-out.
func TestLocked(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	mustOpen(t, path, journal.Options{})
	for _, readOnly := range []bool{false, true} {
		begun := time.Now()
		_, err := journal.Open(path, contoso, journal.Options{ReadOnly: readOnly, LockTimeout: 100 * time.Millisecond})
		if !errors.Is(err, journal.ErrLocked) {
			t.Errorf("second open, for reading %v: %v", readOnly, err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("refused after %v", took)
		}
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() <= 0 {
		t.Skip("permissions bind neither root nor Windows")
	}
	path := journalPath(t)
	must(t, os.WriteFile(path, nil, 0o000))
	if _, err := journal.Open(path, contoso, journal.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("open: %v", err)
	}
}

// TestPublishWithoutLinks: a file system without hard links gets a journal too,
// and never loses one.
func TestPublishWithoutLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	draft, path := filepath.Join(dir, "draft"), filepath.Join(dir, "journal")
	for n, want := range []error{nil, fs.ErrExist} {
		must(t, os.WriteFile(draft, []byte{byte(n)}, 0o600))
		if err := journal.PublishWithoutLinks(draft, path); !errors.Is(err, want) {
			t.Errorf("publish %d: %v, want %v", n, err, want)
		}
	}
	if b, err := os.ReadFile(path); err != nil || b[0] != 0 {
		t.Errorf("published %v, %v", b, err)
	}
}

// TestInABubble: a journal works where time is virtual, and its stamps are of
// that time.
func TestInABubble(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	synctest.Test(t, func(t *testing.T) {
		j := mustOpen(t, path, journal.Options{})
		c := started(t, j, "spring", machines(10))
		begun := time.Now()
		for n := range 10 {
			go func() {
				<-time.After(time.Duration(n) * time.Minute)
				_, err := c.Begin(id(n), uint64(n))
				if err != nil {
					t.Error(err)
				}
			}()
		}
		<-time.After(time.Hour)
		for n := range 10 {
			if e := entry(t, c, id(n)); !e.Sent.Equal(begun.Add(time.Duration(n)*time.Minute)) || e.State != journal.Sending {
				t.Errorf("machine %d: %s at %v", n, e.State, e.Sent)
			}
		}
		_, err := journal.Open(path, contoso, journal.Options{LockTimeout: time.Hour})
		if !errors.Is(err, journal.ErrLocked) {
			t.Errorf("second open: %v", err)
		}
	})
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(1))
	must(t, j.Close())
	if _, err := c.Begin(id(0), 1); !errors.Is(err, journal.ErrStopped) || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("begin after close: %v", err)
	}
	if _, err := c.Entry(id(0)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}
