package journal

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// The parts of bbolt's file format that a look at the tree needs. All numbers
// are in the byte order of the machine.
const (
	pageHeaderSize = 16
	elementSize    = 16
	leafFlag       = 0x02
	branchFlag     = 0x01
	bucketFlag     = 0x01
	bucketSize     = 16 // root page and sequence
)

// checkStructure looks at the tree of pages by itself before it lets bbolt look:
// bbolt follows a wrong page number into a fault or for ever round a circle, in
// a goroutine that nobody can guard.
func (j *Journal) checkStructure(ctx context.Context, tx *bolt.Tx, r *Report) error {
	f, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	size := int64(tx.DB().Info().PageSize)
	t := &tree{f: f, pageSize: size, pages: uint64(tx.Size() / size), seen: map[uint64]bool{}, ctx: ctx} //nolint:gosec // a size is positive
	if err := t.walk(uint64(tx.Cursor().Bucket().RootPage())); err != nil {
		return err
	}
	for err := range tx.Check() {
		r.add("%v", err)
	}
	return ctx.Err()
}

// tree reads the pages of a bbolt file.
type tree struct {
	f        io.ReaderAt
	pageSize int64
	pages    uint64 // pages from here on were never used
	seen     map[uint64]bool
	ctx      context.Context // of the one check that the tree is read for
}

// walk visits a page and all below it, each at most once.
func (t *tree) walk(id uint64) error {
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	if id < 2 || id >= t.pages || t.seen[id] {
		return fmt.Errorf("%w: page %d used twice or out of range", ErrDamaged, id)
	}
	t.seen[id] = true
	page, err := t.read(id)
	if err != nil {
		return err
	}
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if pageHeaderSize+count*elementSize > len(page) {
		return fmt.Errorf("%w: page %d of %d elements", ErrDamaged, id, count)
	}
	for i := range count {
		at := pageHeaderSize + i*elementSize
		switch {
		case flags&branchFlag != 0:
			err = t.branch(page[at:])
		case flags&leafFlag != 0:
			err = t.leaf(page[at:])
		default:
			err = fmt.Errorf("%w: page %d has flags %x", ErrDamaged, id, flags)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) read(id uint64) ([]byte, error) {
	page := make([]byte, t.pageSize)
	if _, err := t.f.ReadAt(page, int64(id)*t.pageSize); err != nil { //nolint:gosec // below the file's size
		return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if binary.NativeEndian.Uint64(page) != id || id+overflow >= t.pages {
		return nil, fmt.Errorf("%w: page %d has a wrong header", ErrDamaged, id)
	}
	if overflow == 0 {
		return page, nil
	}
	page = make([]byte, (1+int64(overflow))*t.pageSize)               //nolint:gosec // four bytes
	if _, err := t.f.ReadAt(page, int64(id)*t.pageSize); err != nil { //nolint:gosec // below the file's size
		return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
	}
	return page, nil
}

// branch goes down from an element of a branch page: position, key size, page.
func (t *tree) branch(element []byte) error {
	position, key := binary.NativeEndian.Uint32(element), binary.NativeEndian.Uint32(element[4:])
	if uint64(position)+uint64(key) > uint64(len(element)) {
		return fmt.Errorf("%w: branch element out of its page", ErrDamaged)
	}
	return t.walk(binary.NativeEndian.Uint64(element[8:]))
}

// leaf looks at an element of a leaf page: flags, position, key size, value
// size. The value of a bucket begins with its root page; 0 means that the bucket
// itself follows in the value.
func (t *tree) leaf(element []byte) error {
	flags, position := binary.NativeEndian.Uint32(element), uint64(binary.NativeEndian.Uint32(element[4:]))
	value := position + uint64(binary.NativeEndian.Uint32(element[8:]))
	end := value + uint64(binary.NativeEndian.Uint32(element[12:]))
	if end > uint64(len(element)) || flags&bucketFlag != 0 && end-value < bucketSize {
		return fmt.Errorf("%w: leaf element out of its page", ErrDamaged)
	}
	if flags&bucketFlag == 0 {
		return nil
	}
	if root := binary.NativeEndian.Uint64(element[value:]); root != 0 {
		return t.walk(root)
	}
	return nil
}
