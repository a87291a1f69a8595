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

// TestConfigIsNobodyElses: a file that others can write is refused; one that others
// can read is taken, and so is a link to it.
func TestConfigIsNobodyElses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "offboard.yaml"), filepath.Join(dir, "link.yaml")
	if err := os.WriteFile(path, []byte("defaults: {max: 5}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for mode, taken := range map[fs.FileMode]bool{0o600: true, 0o644: true, 0o440: true, 0o664: false, 0o646: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, link} {
			_, err := (&app{env: environment{getenv: os.Getenv}}).openConfig(name)
			if (err == nil) != taken || err != nil && (codeOf(err) != exitUsage || !strings.Contains(hintOf(err), "chmod go-w")) {
				t.Errorf("%s with mode %04o: %v", name, mode, err)
			}
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&app{}).openConfig(pipe); codeOf(err) != exitUsage { // and nobody waits for a writer
		t.Errorf("a pipe: %v", err)
	}
}
