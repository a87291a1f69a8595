//go:build unix

package journal

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLockOfAForkedChild: a child between fork and exec has the descriptors of its
// parent, and with them the lock; a journal that was closed is free all the same.
func TestLockOfAForkedChild(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	tenant := Tenant{ID: "5a1e7c3d-0f42-4b8e-9d61-2c7b3f80a914"}
	for _, readOnly := range []bool{false, true, false} {
		j, err := Open(path, tenant, Options{ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		child, err := duplicate(j.db.file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Close(child); err != nil {
				t.Error(err)
			}
		})
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
