package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// guard turns the panics and memory faults of bbolt on a damaged file into
// [ErrDamaged]. It must not run code of our callers, whose panics are theirs.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return fn()
}

// database is an open file.
type database struct {
	*bolt.DB
	file *os.File
}

// Close gives the file free, its lock too.
func (d *database) Close() error {
	if d.IsReadOnly() {
		return closeReader(d.DB, d.file)
	}
	return d.DB.Close()
}

// openBolt opens an existing file, says which one that is, and translates bbolt's
// errors.
func openBolt(path string, readOnly bool, timeout time.Duration) (*database, fs.FileInfo, error) {
	var (
		db   *bolt.DB
		file *os.File
	)
	err := guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: timeout, ReadOnly: readOnly, FreelistType: bolt.FreelistMapType,
			// bbolt would create a file that has vanished since it was inspected.
			OpenFile: func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(name, flag&^os.O_CREATE, mode) //nolint:gosec // the path is the caller's choice
				return file, err
			},
		})
		return err
	})
	switch {
	case err == nil:
		opened := &database{db, file}
		identity, err := replaced(file, path)
		if err != nil {
			return nil, nil, errors.Join(err, opened.Close())
		}
		return opened, identity, shortened(opened, path)
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, ErrLocked
	case errors.Is(err, berrors.ErrVersionMismatch):
		return nil, nil, fmt.Errorf("%w: %w", ErrNotAJournal, err)
	case errors.Is(err, ErrDamaged) && file != nil:
		// After a panic bbolt still holds the file, and with it the lock.
		return nil, nil, errors.Join(err, file.Close())
	case fromSystem(err):
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
}

// replaced finds out whether the file that was locked is still the one of that
// name, and which one it is. A compaction puts another in its place while it
// holds the lock; whoever waited for the lock would go on with a file that nobody
// sees any more.
func replaced(file *os.File, path string) (fs.FileInfo, error) {
	locked, err := file.Stat()
	if err != nil {
		return nil, err
	}
	current, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !os.SameFile(locked, current) {
		return nil, fmt.Errorf("%w: it was replaced just now", ErrLocked)
	}
	return locked, nil
}

// fromSystem tells errors of the operating system from bbolt's own, which all
// say that the file is not as it should be.
func fromSystem(err error) bool {
	var (
		path   *fs.PathError
		system *os.SyscallError
		number syscall.Errno
	)
	return errors.As(err, &path) || errors.As(err, &system) || errors.As(err, &number)
}

// shortened finds a file that lost its end: bbolt would fault on the missing
// pages only when it needs them. It closes db in that case.
func shortened(db *database, path string) error {
	return guard(func() error {
		info, err := os.Stat(path)
		if err != nil {
			return errors.Join(err, db.Close())
		}
		var want int64
		err = db.View(func(tx *bolt.Tx) error { want = tx.Size(); return nil })
		if err == nil && info.Size() < want {
			err = fmt.Errorf("%w: %d bytes of %d", ErrDamaged, info.Size(), want)
		}
		if err != nil {
			return errors.Join(err, db.Close())
		}
		return nil
	})
}
