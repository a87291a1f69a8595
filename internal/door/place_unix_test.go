//go:build unix

package door

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// place is a place with one short directory, which a socket's path needs, and a
// journal.
func place(t *testing.T) (p Place, journal string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "door-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	journal = filepath.Join(dir, "journal")
	if err := os.WriteFile(journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return Place{Dirs: []string{filepath.Join(dir, "d")}}, journal
}

// answers says whether a status can be had at the journal's door.
func answers(t *testing.T, p Place, journal string) error {
	t.Helper()
	var status any
	return Status(t.Context(), func(ctx context.Context) (net.Conn, error) { return p.Dial(ctx, journal) }, "", &status)
}

func listenAt(t *testing.T, p Place, journal string) net.Listener {
	t.Helper()
	l, err := p.Listen(journal)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestOwnerOnly: nobody else gets through the directory or may open the socket,
// and a journal is found by whatever path leads to it.
func TestOwnerOnly(t *testing.T) {
	t.Parallel()
	p, journal := place(t)
	s := Serve(listenAt(t, p, journal), &keeper{})
	defer s.Close()
	sockets, err := os.ReadDir(p.Dirs[0])
	if err != nil || len(sockets) != 1 {
		t.Fatalf("%v, %v", sockets, err)
	}
	for path, want := range map[string]os.FileMode{p.Dirs[0]: 0o700, filepath.Join(p.Dirs[0], sockets[0].Name()): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(journal, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{journal, link} {
		if err := answers(t, p, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestStaleSocket: what a killed process left is replaced, a file that is no
// socket is not, and a closed door leaves nothing.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	p, journal := place(t)
	killed := listenAt(t, p, journal).(*listener)
	killed.SetUnlinkOnClose(false)
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := answers(t, p, journal); !errors.Is(err, ErrNobody) {
		t.Errorf("at the door of the dead: %v", err)
	}
	s := Serve(listenAt(t, p, journal), &keeper{})
	if err := errors.Join(answers(t, p, journal), s.Close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(p.Dirs[0]); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	name, err := nameOf(journal)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dirs[0], name)
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Listen(journal); err == nil {
		t.Error("a file was replaced")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestUnfitDirectories are passed over, by whoever listens and by whoever dials.
func TestUnfitDirectories(t *testing.T) {
	t.Parallel()
	p, journal := place(t)
	base := filepath.Dir(journal)
	open, long, link := filepath.Join(base, "open"), filepath.Join(base, strings.Repeat("x", 90)), filepath.Join(base, "link")
	for _, dir := range []string{open, long} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(open, 0o755), os.Symlink(long, link)); err != nil {
		t.Fatal(err)
	}
	unfit := []string{open, long, link, journal, filepath.Join(base, "no", "where")}
	for _, dir := range unfit {
		if _, err := (Place{Dirs: []string{dir}}).Listen(journal); err == nil {
			t.Errorf("listens in %s", dir)
		}
	}
	if _, err := (Place{Dirs: []string{open}}).Listen(journal); !errors.Is(err, ErrStranger) {
		t.Error(err)
	}
	p.Dirs = append(unfit, p.Dirs...)
	s := Serve(listenAt(t, p, journal), &keeper{})
	defer s.Close()
	if err := answers(t, p, journal); err != nil {
		t.Error(err)
	}
}

// TestStrangerIsTurnedAway: the account on the other side decides, whatever the
// modes let through.
func TestStrangerIsTurnedAway(t *testing.T) {
	t.Parallel()
	us := os.Getuid()
	if _, err := admit(nil, us+1, us); !errors.Is(err, ErrStranger) {
		t.Error(err)
	}
	if c, err := admit(nil, us, us); err != nil || c.account == "" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestDirectories: a process inside the session and one outside of it meet.
func TestDirectories(t *testing.T) {
	t.Parallel()
	inside := Directories(func(string) string { return "/run/session" }, "/state")
	outside := Directories(func(string) string { return "" }, "/state")
	if inside[0] != filepath.Join("/run/session", "offboard") || len(inside) != len(outside)+1 {
		t.Errorf("%q, %q", inside, outside)
	}
	for i, dir := range outside {
		if inside[i+1] != dir {
			t.Errorf("%q, %q", inside, outside)
		}
	}
}
