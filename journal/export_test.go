package journal

import (
	"io/fs"
	"os"
	"reflect"
	"unsafe"
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

// PublishWithoutLinks is publish on a file system that has no hard links.
func PublishWithoutLinks(draft, path string) error {
	return publish(draft, path, func(string, string) error {
		return &os.LinkError{Op: "link", Err: fs.ErrInvalid}
	})
}
