package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// compactBytes is about how much one transaction of a copy writes.
	compactBytes = 16 << 20
	// compactSlack is how much longer than its pages a copy may be. While a journal
	// is written to, it grows by 16 MB at a time.
	compactSlack = 4 << 10
)

// Compact writes a copy of the journal to the new file dst, without the space
// that the journal no longer needs, and returns when it is on disk. The journal
// itself stays as it is; changes made after the call began may be missing from
// the copy, so nothing should run meanwhile. It fails with [io/fs.ErrExist] when
// dst exists; after an error there is no dst.
func (j *Journal) Compact(dst string) error {
	f, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the path is the caller's choice
	if err != nil {
		return j.explain("compact", err)
	}
	if err = f.Close(); err == nil {
		err = j.view("compact", func(tx *bolt.Tx) error { return copyTo(dst, tx) })
	}
	if err == nil {
		err = syncDir(filepath.Dir(dst))
	}
	if err != nil {
		err = errors.Join(err, os.Remove(dst))
	}
	return j.explain("compact", err)
}

// Shrink compacts the journal in its place and closes it. If we crash on the way,
// the journal is as it was, or compacted.
func (j *Journal) Shrink() error {
	fresh := j.path + ".compact"
	if err := os.RemoveAll(fresh); err != nil { // left by one that was killed
		return j.explain("compact", err)
	}
	if err := j.Compact(fresh); err != nil {
		return errors.Join(err, j.Close())
	}
	return j.explain("compact", j.swap(fresh))
}

// swap puts a file in the journal's place. Elsewhere than on Windows that is done
// while the journal is still locked, so that nobody can have begun to write to
// it. Windows refuses to replace a file that anybody has open, ourselves
// included, which comes to the same.
func (j *Journal) swap(fresh string) error {
	if runtime.GOOS == "windows" {
		return errors.Join(j.Close(), os.Rename(fresh, j.path))
	}
	err := os.Rename(fresh, j.path)
	if err == nil {
		err = syncDir(filepath.Dir(j.path))
	}
	return errors.Join(err, j.Close())
}

func copyTo(dst string, tx *bolt.Tx) error {
	db, err := bolt.Open(dst, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	db.AllocSize = compactSlack
	err = tx.ForEach(func(name []byte, from *bolt.Bucket) error { return copyBucket(db, name, from) })
	return errors.Join(err, db.Close())
}

// copyBucket copies a bucket in transactions of a bearable size. Pages of what may
// change are left with room for what later updates add.
func copyBucket(db *bolt.DB, name []byte, from *bolt.Bucket) error {
	cursor := from.Cursor()
	key, value := cursor.First()
	for first := true; first || key != nil; first = false {
		err := db.Update(func(tx *bolt.Tx) error {
			to, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			to.FillPercent = packed
			if bytes.Equal(name, eventBucket) {
				to.FillPercent = 1 // no event is ever changed
			}
			for size := 0; key != nil && size < compactBytes; key, value = cursor.Next() {
				size += len(key) + len(value)
				if err := to.Put(key, value); err != nil {
					return err
				}
			}
			return to.SetSequence(from.Sequence())
		})
		if err != nil {
			return err
		}
	}
	return nil
}
