package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	bolt "go.etcd.io/bbolt"

	"offboard/internal/failpoint"
)

// schema is the version of the file's layout that this package writes.
const schema = 1

var (
	metaBucket     = []byte("meta")
	campaignBucket = []byte("campaigns")
	machineBucket  = []byte("machines")
	eventBucket    = []byte("events")

	markKey    = []byte("format")
	mark       = []byte("offboard journal")
	versionKey = []byte("version") // four bytes, readable whatever a newer schema does to the rest
	bindingKey = []byte("binding")
)

// binding is what a journal belongs to.
type binding struct {
	Tenant
	Created time.Time `json:"created"`
}

// create makes a new journal appear at path all at once: a kill on the way
// leaves no file of that name, or one that opens. It reports false when another
// process was quicker.
func create(path string, b binding) (bool, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	err := draft(path, func(draft string) error { return write(draft, b) })
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// draft makes a file appear at path once fill has written it elsewhere. It fails
// with fs.ErrExist when there is one meanwhile.
func draft(path string, fill func(draft string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".journal-*.new")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(f.Name()); err != nil {
		return err
	}
	failpoint.Hit(failpoint.JournalDrafted)
	if err := publish(f.Name(), path, os.Link); err != nil {
		return err
	}
	failpoint.Hit(failpoint.JournalPublished)
	return syncDir(dir)
}

func write(path string, b binding) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoFreelistSync: false})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{campaignBucket, machineBucket, eventBucket, countBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		body, err := json.Marshal(b)
		if err != nil {
			return err
		}
		return errors.Join(
			meta.Put(markKey, mark),
			meta.Put(versionKey, binary.BigEndian.AppendUint32(nil, schema)),
			meta.Put(bindingKey, seal(bindingKey, body)))
	})
	return errors.Join(err, db.Close())
}

// publish gives the draft its name, and fails with fs.ErrExist rather than
// replace a file. File systems without hard links get a rename, with a moment
// in which two creators could both believe that they were first.
func publish(draft, path string, link func(from, to string) error) error {
	err := link(draft, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fs.ErrExist
	}
	return os.Rename(draft, path)
}

// syncDir makes a new name in dir durable. Windows has no such call; NTFS
// journals its directories by itself.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the path is the caller's choice
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

const (
	boltMagic   = 0xED0CDAED
	magicOffset = 16 // after the page's header
)

// inspect finds out without writing whether path can be a journal. An empty
// file is none: bbolt would initialise it, whoever put it there for whatever.
func inspect(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", ErrNotAJournal)
	}
	f, err := os.Open(path) //nolint:gosec // the path is the caller's choice
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	// A power cut may tear the first meta page; the second lies a page later,
	// and pages have from 1 KiB to 16 MiB.
	for at := int64(0); at < info.Size(); at = max(2*at, 1024) {
		found, err := magicAt(f, at+magicOffset)
		if found || err != nil {
			return err
		}
	}
	return ErrNotAJournal
}

// magicAt looks for the magic number in the byte order of the machine, which is
// how bbolt writes it.
func magicAt(f io.ReaderAt, at int64) (bool, error) {
	var word [4]byte
	if _, err := f.ReadAt(word[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	return binary.NativeEndian.Uint32(word[:]) == boltMagic, nil
}

// readBinding verifies the mark and the version and returns the binding.
func readBinding(db *bolt.DB) (binding, error) {
	var b binding
	err := guard(func() error {
		return db.View(func(tx *bolt.Tx) error {
			meta := tx.Bucket(metaBucket)
			if meta == nil || string(meta.Get(markKey)) != string(mark) {
				return fmt.Errorf("%w: a bbolt file of another program", ErrNotAJournal)
			}
			if v := meta.Get(versionKey); len(v) != 4 || binary.BigEndian.Uint32(v) == 0 {
				return fmt.Errorf("%w: no schema version", ErrDamaged)
			} else if n := binary.BigEndian.Uint32(v); n > schema {
				return fmt.Errorf("%w: %d, known is %d", ErrVersion, n, schema)
			}
			for _, name := range [][]byte{campaignBucket, machineBucket, eventBucket} {
				if tx.Bucket(name) == nil {
					return fmt.Errorf("%w: no bucket %s", ErrDamaged, name)
				}
			}
			body, err := unseal(bindingKey, meta.Get(bindingKey))
			if err != nil {
				return err
			}
			if err := json.Unmarshal(body, &b); err != nil {
				return fmt.Errorf("%w: binding: %w", ErrDamaged, err)
			}
			return nil
		})
	})
	return b, err
}

func foreignError(t Tenant) error {
	return fmt.Errorf("%w: it is bound to %s (cloud %s)", ErrForeign, t.ID, t.Cloud)
}
