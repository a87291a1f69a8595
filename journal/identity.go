package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// vanished finds out whether the file that the journal writes to still is the one
// of its name. One that was moved, deleted or replaced is written to as before,
// but whoever opens the path next knows nothing of it. It is asked after each
// commit: an intent counts only if the next run will find it.
func (j *Journal) vanished() error {
	current, err := os.Stat(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: it was moved or deleted", ErrReplaced)
	case err != nil:
		return err
	case !os.SameFile(j.identity, current):
		return fmt.Errorf("%w: another file has its name", ErrReplaced)
	}
	return nil
}
