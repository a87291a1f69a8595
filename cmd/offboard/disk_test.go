package main

import (
	"os"
	"reflect"
	"sync"
	"unsafe"

	"offboard/journal"
)

// disk is the disk under a journal. While it is broken every write fails, but for
// the commits that it still lets pass.
type disk struct {
	mu     sync.Mutex
	broken error
	passes int // commits
}

func (d *disk) breaks(err error, afterCommits int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken, d.passes = err, afterCommits
}

func (d *disk) mends() { d.breaks(nil, 0) }

type writeAt = func(b []byte, off int64) (int, error)

// under lies under a journal from now on. Bbolt keeps the function that it writes
// with in an unexported field that is there for tests.
func (d *disk) under(j *journal.Journal) {
	db := reflect.ValueOf(j).Elem().FieldByName("db").Elem()
	field := db.FieldByName("ops").FieldByName("writeAt")
	write := (*writeAt)(unsafe.Pointer(field.UnsafeAddr()))
	if next := *write; next != nil {
		*write = func(b []byte, off int64) (int, error) {
			if err := d.failure(off); err != nil {
				return 0, &os.PathError{Op: "write", Path: j.Path(), Err: err}
			}
			return next(b, off)
		}
	}
}

// failure counts the commits, which end with one of the two meta pages.
func (d *disk) failure(off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken == nil || d.passes == 0 {
		return d.broken
	}
	if off < 2*int64(os.Getpagesize()) {
		d.passes--
	}
	return nil
}
