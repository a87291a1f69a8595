package journal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

// badSectors is a file of which a part cannot be read.
type badSectors struct {
	io.ReaderAt
	from, to int64
}

func (b badSectors) ReadAt(p []byte, at int64) (int, error) {
	if at < b.to && at+int64(len(p)) > b.from {
		return 0, errors.New("input/output error")
	}
	return b.ReaderAt.ReadAt(p, at)
}

// TestScanOfBadSectors: pages that the system cannot read are counted, and with
// any of them gone the log is not taken for complete.
func TestScanOfBadSectors(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(goldenJournal)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(golden))
	pageSize := pageSizeOf(bytes.NewReader(golden))
	whole := newFindings()
	if unreadable, err := whole.search(t.Context(), bytes.NewReader(golden), size); err != nil || unreadable > 0 || !whole.complete {
		t.Fatalf("the whole file: %d pages unreadable, complete: %v, %v", unreadable, whole.complete, err)
	}
	for at := int64(0); at < size; at += pageSize {
		f := newFindings()
		unreadable, err := f.search(t.Context(), badSectors{bytes.NewReader(golden), at, at + 512}, size)
		if err != nil || unreadable == 0 || f.complete {
			t.Errorf("without page %d: %d pages unreadable, complete: %v, %v", at/pageSize, unreadable, f.complete, err)
		}
		if len(f.events) > len(whole.events) || len(f.traces) > len(whole.traces) {
			t.Errorf("without page %d there is more than with it", at/pageSize)
		}
	}
}

// TestNoWorkWithoutBound: page headers that claim to be as large as the file do
// not make every page cost as much.
func TestNoWorkWithoutBound(t *testing.T) {
	t.Parallel()
	const pages, pageSize = 12, maxRun / 2
	file := bytes.Repeat([]byte{0xff}, pages*pageSize)
	read := int64(0)
	s := &scan{f: counting{bytes.NewReader(file), &read}, size: int64(len(file)), pageSize: pageSize, found: func(_, _ []byte) {}}
	if err := s.pages(t.Context()); err != nil {
		t.Fatal(err)
	}
	if read > pages*(maxRun+pageSize) {
		t.Errorf("%d bytes were read of a file of %d", read, len(file))
	}
}

type counting struct {
	io.ReaderAt
	read *int64
}

func (c counting) ReadAt(p []byte, at int64) (int, error) {
	*c.read += int64(len(p))
	return c.ReaderAt.ReadAt(p, at)
}
