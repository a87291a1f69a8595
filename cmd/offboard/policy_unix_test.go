//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// owned is a file of another account.
type owned struct {
	fs.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

// TestTrusted: nobody but root, and whoever may own the file, can have written it.
func TestTrusted(t *testing.T) {
	t.Parallel()
	path := policyAt(t, "max: 5")
	owner, dir := os.Getuid(), filepath.Dir(path)
	if err := trusted(path, owner); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		path string
		mode fs.FileMode
		want string
	}{
		{path, 0o664, "written by others"}, {path, 0o646, "written by others"}, {path, 0o600, ""},
		{dir, 0o775, "written by others"}, {dir, 0o757, "written by others"}, {dir, 0o777 | fs.ModeSticky, "written by others"}, {dir, 0o755, ""},
	} {
		if err := os.Chmod(c.path, c.mode); err != nil {
			t.Fatal(err)
		}
		err := trusted(path, owner)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with mode %s: %v", c.path, c.mode, err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid     uint32
		owner   int
		allowed bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1000, 0, false}, {1001, 1000, false}} {
		if why := stranger(owned{info, c.uid}, c.owner); (why == "") != c.allowed {
			t.Errorf("of %d, where %d may own it: %q", c.uid, c.owner, why)
		}
	}
}

// TestLinkedPolicy: a link would have to be trusted all the way.
func TestLinkedPolicy(t *testing.T) {
	t.Parallel()
	path := policyAt(t, "max: 5")
	file, dir := filepath.Join(filepath.Dir(path), "link.yaml"), filepath.Join(t.TempDir(), "link")
	for link, target := range map[string]string{file: path, dir: filepath.Dir(path)} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, linked := range []string{file, filepath.Join(dir, "policy.yaml"), filepath.Join(path, "policy.yaml")} {
		if p, err := readPolicy(t.Context(), policyPlace{linked, os.Getuid()}); codeOf(err) != exitGuard {
			t.Errorf("%s: %+v, %v", linked, p, err)
		}
	}
}
