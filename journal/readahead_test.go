package journal

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReadAhead: advice about any file, of whatever size it is believed to be, does no
// harm.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	content := make([]byte, 3*(128<<10)+1)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{0, 1, int64(len(content)), int64(2 * len(content))} {
		readAhead(f, size)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	readAhead(f, 1) // refused by the system
}
