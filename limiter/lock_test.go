package limiter

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLockIsTheOneOthersSee: two locks of a path exclude each other, also after
// somebody has removed the file that one of them holds open.
func TestLockIsTheOneOthersSee(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	a, b := &fileLock{path: path}, &fileLock{path: path}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	try := func(when string, l *fileLock, want bool) {
		t.Helper()
		if ok, err := l.TryLock(); ok != want || err != nil {
			t.Errorf("%s: %t, %v", when, ok, err)
		}
	}
	try("free", a, true)
	try("taken", b, false)
	must(t, a.Unlock())
	try("let go of", b, true)
	must(t, b.Close())
	if os.Remove(path) != nil {
		return // this system keeps the names of open files
	}
	try("removed", a, true)
	try("made anew by another", b, false)
	must(t, a.Close())
	must(t, a.Close())
	try("closed by the other", b, true)
}
