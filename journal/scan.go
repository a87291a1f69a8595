package journal

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// maxRun bounds how much one page with its overflow is read for. A value that is
// larger cannot be salvaged; without a bound, damaged page headers could make
// every page as large as the file.
const maxRun = 2 << 20

// scan looks at every page of a damaged file by itself, whether the engine still
// uses it or not, and hands over all that looks like a key with its value. What
// is true of it the checksums tell.
type scan struct {
	f          io.ReaderAt
	size       int64
	pageSize   int64
	found      func(key, value []byte)
	unreadable int // pages
}

func (s *scan) pages(ctx context.Context) error {
	page := make([]byte, s.pageSize)
	for at := int64(0); at < s.size; at += s.pageSize {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := s.f.ReadAt(page, at)
		if n < pageHeaderSize {
			s.unreadable++
			continue
		}
		if err != nil && at+int64(n) < s.size {
			s.unreadable++ // a part of it
		}
		run := page[:n]
		if overflow := int64(binary.NativeEndian.Uint32(page[12:])); overflow > 0 {
			run = make([]byte, min((1+overflow)*s.pageSize, s.size-at, maxRun))
			if n, _ = s.f.ReadAt(run, at); n < len(run) {
				run = run[:n]
			}
		}
		s.leaf(run, true)
	}
	return nil
}

// leaf reads a page as if it were a leaf. Its number, flags and count are not
// asked, since they may be what is damaged; the place of the first element's key
// tells the count too.
func (s *scan) leaf(page []byte, outer bool) {
	if len(page) < pageHeaderSize+elementSize {
		return
	}
	count := int(binary.NativeEndian.Uint16(page[10:]))
	count = max(count, int(binary.NativeEndian.Uint32(page[pageHeaderSize+4:])/elementSize))
	count = min(count, (len(page)-pageHeaderSize)/elementSize)
	budget := 2 * len(page) // elements that overlap are damaged, and must not cost more than sound ones
	for i := range count {
		key, value, ok := element(page[pageHeaderSize+i*elementSize:])
		if !ok || len(key) == 0 {
			continue
		}
		if budget -= len(key) + len(value); budget < 0 {
			return
		}
		if outer && isBucket(key) && len(value) > bucketSize {
			s.leaf(value[bucketSize:], false) // a small bucket lies in its value
			continue
		}
		s.found(key, value)
	}
}

// element returns the key and the value of an element of a leaf page, from which
// on the page is given.
func element(page []byte) (key, value []byte, ok bool) {
	from := uint64(binary.NativeEndian.Uint32(page[4:]))
	middle := from + uint64(binary.NativeEndian.Uint32(page[8:]))
	end := middle + uint64(binary.NativeEndian.Uint32(page[12:]))
	if end > uint64(len(page)) {
		return nil, nil, false
	}
	return page[from:middle], page[middle:end], true
}

func isBucket(key []byte) bool {
	return slices.ContainsFunc([][]byte{machineBucket, eventBucket, campaignBucket, metaBucket},
		func(name []byte) bool { return string(name) == string(key) })
}

// boltMeta is what one of the engine's two meta pages says.
type boltMeta struct {
	pageSize   int64
	root, size uint64 // pages
	txid       uint64
}

const boltMetaSize = 64

// readMeta reads a meta page; false when there is no sound one at this place.
func readMeta(f io.ReaderAt, at int64) (boltMeta, bool) {
	b := make([]byte, pageHeaderSize+boltMetaSize)
	if _, err := f.ReadAt(b, at); err != nil {
		return boltMeta{}, false
	}
	b = b[pageHeaderSize:]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	m := boltMeta{
		pageSize: int64(binary.NativeEndian.Uint32(b[8:])),
		root:     binary.NativeEndian.Uint64(b[16:]),
		size:     binary.NativeEndian.Uint64(b[40:]),
		txid:     binary.NativeEndian.Uint64(b[48:]),
	}
	sound := binary.NativeEndian.Uint32(b) == boltMagic && binary.NativeEndian.Uint64(b[56:]) == sum.Sum64() &&
		m.pageSize >= 1024 && m.pageSize <= 16<<20 && m.pageSize&(m.pageSize-1) == 0
	return m, sound
}

// pageSizeOf finds out how large the file's pages are. Where both meta pages are
// lost it is taken to be this system's size.
func pageSizeOf(f io.ReaderAt) int64 {
	for at := int64(0); at <= 16<<20; at = max(2*at, 1024) {
		if m, ok := readMeta(f, at); ok && (at == 0 || at == m.pageSize) {
			return m.pageSize
		}
	}
	return int64(os.Getpagesize())
}

// lastSequence returns the number of the last event that was ever committed;
// false when that is not certain. It takes both meta pages: the engine writes
// them in turn, so that with the last one gone the file is simply older, as far
// as it shows.
func lastSequence(f io.ReaderAt, size int64) (uint64, bool) {
	pageSize := pageSizeOf(f)
	last, sound := readMeta(f, 0)
	other, too := readMeta(f, pageSize)
	if !sound || !too {
		return 0, false
	}
	if other.txid > last.txid {
		last, other = other, last
	}
	if last.txid != other.txid+1 || last.size > uint64(size/pageSize) || last.root >= last.size { //nolint:gosec // sizes are positive
		return 0, false
	}
	page := make([]byte, pageSize)
	if _, err := f.ReadAt(page, int64(last.root)*pageSize); err != nil { //nolint:gosec // below the file's size
		return 0, false
	}
	for i := range min(int(binary.NativeEndian.Uint16(page[10:])), (len(page)-pageHeaderSize)/elementSize) {
		key, value, ok := element(page[pageHeaderSize+i*elementSize:])
		if ok && string(key) == string(eventBucket) && len(value) >= bucketSize {
			return binary.NativeEndian.Uint64(value[8:]), true
		}
	}
	return 0, false
}
