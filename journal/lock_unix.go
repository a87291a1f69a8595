//go:build unix

package journal

import (
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// closeReader closes a file that was open for reading and gives its lock free,
// which bbolt leaves to the closing of the descriptor. That is not enough while a
// child that was just forked has not begun its program yet: it still has the
// descriptor, and whoever opens the journal next would find it locked.
//
// It is given free last, since a transaction may be under way until then.
func closeReader(db *bolt.DB, file *os.File) error {
	lock, err := duplicate(file)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(db.Close(), unix.Flock(lock, unix.LOCK_UN), unix.Close(lock))
}

// duplicate returns another descriptor of the same open file.
func duplicate(file *os.File) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}
