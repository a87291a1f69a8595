package limiter

import (
	"context"
	"errors"
	"os"
)

// fileLock is the lock between processes. Its file stays open, for the lock is
// taken twice for each call; a file that somebody removed is replaced all the
// same, so that this process does not lock what nobody else can see.
type fileLock struct {
	path string
	file *os.File // nil: not opened yet
}

// TryLock takes the lock unless another process has it.
func (l *fileLock) TryLock() (bool, error) {
	for {
		if err := l.open(); err != nil {
			return false, err
		}
		ok, err := tryLock(l.file)
		if !ok || err != nil {
			return false, err
		}
		gone, err := removed(l.file)
		if !gone && err == nil {
			return true, nil
		}
		if err := errors.Join(err, l.Close()); err != nil {
			return false, err
		}
	}
}

// TryLockContext tries until ctx is done.
func (l *fileLock) TryLockContext(ctx context.Context) error {
	for {
		if ok, err := l.TryLock(); ok || err != nil {
			return err
		}
		if err := pauseFor(ctx, firstRetry); err != nil {
			return err
		}
	}
}

func (l *fileLock) open() (err error) {
	if l.file != nil {
		return nil
	}
	l.file, err = os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	return err
}

// Unlock lets the next process in.
func (l *fileLock) Unlock() error { return unlock(l.file) }

// Close lets go of the lock and of its file. A second Close does nothing.
func (l *fileLock) Close() error {
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}
