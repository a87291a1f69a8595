//go:build unix

package limiter

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func tryLock(f *os.File) (bool, error) {
	err := flockFile(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func unlock(f *os.File) error { return flockFile(f, unix.LOCK_UN) }

// removed says whether the file has no name any more.
func removed(f *os.File) (bool, error) {
	var s unix.Stat_t
	err := descriptor(f, func(fd int) error { return unix.Fstat(fd, &s) })
	return err == nil && s.Nlink == 0, err
}

func flockFile(f *os.File, how int) error {
	return descriptor(f, func(fd int) error { return unix.Flock(fd, how) })
}

// descriptor has do work on the descriptor, again when a signal interrupts it.
func descriptor(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.EINTR
		for errors.Is(failed, unix.EINTR) {
			failed = do(int(fd))
		}
	})
	return errors.Join(err, failed)
}
