package journal

import (
	"context"
	"io/fs"
	"os"
	"reflect"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// WriteAt is how bbolt writes a piece of its file.
type WriteAt = func(b []byte, off int64) (int, error)

// InterceptWrites puts wrap between the journal's engine and its file. Bbolt
// keeps the function in an unexported field that is there for tests.
func InterceptWrites(j *Journal, wrap func(WriteAt) WriteAt) {
	field := reflect.ValueOf(j.db).Elem().FieldByName("ops").FieldByName("writeAt")
	write := (*WriteAt)(unsafe.Pointer(field.UnsafeAddr()))
	*write = wrap(*write)
}

// Limit keeps the journal's file from growing beyond so many bytes.
func Limit(j *Journal, size int) { j.db.MaxSize = size }

// Syncs says whether the journal's engine syncs what it writes.
func Syncs(j *Journal) bool { return !j.db.NoSync }

// PublishWithoutLinks is publish on a file system that has no hard links.
func PublishWithoutLinks(draft, path string) error {
	return publish(draft, path, func(string, string) error {
		return &os.LinkError{Op: "link", Err: fs.ErrInvalid}
	})
}

// SalvageTrusting is Salvage that takes any log for complete.
func SalvageTrusting(damaged, fresh string) error {
	f, _, err := search(context.Background(), damaged)
	if err == nil {
		err = f.belongsTo(Tenant{})
	}
	if err != nil {
		return err
	}
	f.complete = true
	return draft(fresh, func(path string) error {
		_, err := f.write(path)
		return err
	})
}

// Leaving returns what the campaign's record of a machine notes of why the list
// leaves it out.
func Leaving(c *Campaign, machine string) (string, error) {
	id, err := parseID(machine)
	if err != nil {
		return "", err
	}
	var leaving string
	err = c.j.view("read", func(tx *bolt.Tx) error {
		key := id.key(c.number)
		r, err := decodeRecord(key, tx.Bucket(machineBucket).Get(key))
		if err == nil {
			leaving = r.Leaving
		}
		return err
	})
	return leaving, err
}
