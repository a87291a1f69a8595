package input

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"golang.org/x/text/encoding/unicode"
)

// window is how much of the text is looked at to recognise a format, and the size of the reads.
const window = 64 << 10

// source is a list's text: decompressed, decoded, checked and bounded.
type source struct {
	*guard
	text *bufio.Reader // what parsers read; it reads from the guard
	raw  *rawReader
	file io.Closer
	size int64 // of the file in bytes, 0 when unknown
}

// open opens a list and sets up everything between its bytes and its text.
func open(ctx context.Context, path string, stdin io.Reader) (*source, error) {
	s := &source{raw: &rawReader{ctx: ctx, hash: sha256.New()}}
	if err := s.openRaw(ctx, path, stdin); err != nil {
		return nil, inFile(err, path)
	}
	plain, err := decompress(bufio.NewReaderSize(s.raw, window))
	if err != nil {
		return nil, inFile(errors.Join(err, s.Close()), path)
	}
	s.guard = decode(plain)
	s.text = bufio.NewReaderSize(s.guard, window)
	return s, nil
}

func (s *source) openRaw(ctx context.Context, path string, stdin io.Reader) error {
	if path == "-" {
		if stdin == nil {
			stdin = strings.NewReader("")
		}
		s.raw.r = &interruptible{ctx: ctx, r: stdin}
		return nil
	}
	f, err := os.Open(path) //nolint:gosec // G304: reading the file that the operator names is what the package is for
	if err != nil {
		return &Error{Reason: "cannot be opened: " + cause(err), Err: err}
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return errors.Join(err, f.Close())
	case info.IsDir():
		return errors.Join(&Error{Reason: "is a directory, not a list", Err: ErrNotAFile}, f.Close())
	case info.Mode().IsRegular():
		s.raw.r, s.size = f, info.Size()
	default:
		s.raw.r = &interruptible{ctx: ctx, r: f} // a pipe may never say anything
	}
	s.file = f
	return nil
}

// Close closes the file. Standard input stays open, since it is not ours.
func (s *source) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// peek returns the beginning of the text.
func (s *source) peek() ([]byte, error) {
	prefix, err := s.text.Peek(window)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, s.because(err)
	}
	return prefix, nil
}

// progress returns the part of the file that has been read, 0 when its size is not known.
func (s *source) progress() float64 {
	if s.size == 0 {
		return 0
	}
	return float64(s.raw.n) / float64(s.size)
}

// cause drops the path from an error of package os, since our errors name the file already.
func cause(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// rawReader hashes and counts the bytes of the file, and ends when the context does.
type rawReader struct {
	ctx  context.Context
	r    io.Reader
	hash hash.Hash
	n    int64
}

func (r *rawReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	r.hash.Write(p[:n])
	r.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && r.ctx.Err() == nil {
		err = &Error{Reason: "cannot be read: " + cause(err), Err: err}
	}
	return n, err
}

// interruptible makes waiting for a pipe or a terminal end with the context. The read itself cannot be ended: it is
// left behind with a buffer of its own, so that it harms nobody when it returns after all.
type interruptible struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte
	left []byte // of buf, not handed out yet
	err  error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if len(r.left) == 0 && r.err == nil {
		r.fill()
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	if n == 0 {
		return 0, r.err
	}
	return n, nil
}

func (r *interruptible) fill() {
	if r.buf == nil {
		r.buf = make([]byte, window)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := r.r.Read(r.buf)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		r.left, r.err = r.buf[:got.n], got.err
	case <-r.ctx.Done():
		r.err = r.ctx.Err()
	}
}

// decompress looks for magic bytes; the name of the file does not matter.
func decompress(r *bufio.Reader) (*bufio.Reader, error) {
	if packed, err := isGzip(r); err != nil || !packed {
		return r, err
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, gzipError(err)
	}
	text := bufio.NewReaderSize(&gzipReader{z}, window)
	packed, err := isGzip(text)
	if err == nil && packed {
		err = &Error{Reason: "holds gzip within gzip: it was compressed twice", Hint: "decompress the file once", Err: ErrEncoding}
	}
	return text, err
}

// isGzip tells gzip from text, and refuses what is neither but begins many a file that should have been a list.
func isGzip(r *bufio.Reader) (bool, error) {
	magic, err := r.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return false, err
	case bytes.Equal(magic, []byte("PK\x03\x04")), bytes.Equal(magic, []byte("PK\x05\x06")): // the latter is empty
		return false, &Error{
			Reason: "is a zip archive, such as an Excel workbook, not a list",
			Hint:   "save the list as CSV, or unpack the archive",
			Err:    ErrEncoding,
		}
	}
	return bytes.HasPrefix(magic, []byte{0x1f, 0x8b}), nil
}

// gzipReader gives the errors of damaged gzip a name.
type gzipReader struct{ z *gzip.Reader }

func (r *gzipReader) Read(p []byte) (int, error) {
	n, err := r.z.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = gzipError(err)
	}
	return n, err
}

func gzipError(err error) error {
	var ours *Error
	if errors.As(err, &ours) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &Error{Reason: fmt.Sprintf("the gzip data is damaged: %v", err), Err: fmt.Errorf("%w: %w", ErrEncoding, err)}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		e.Reason, e.Hint = "the gzip data is cut short", "copy or download the file again"
	}
	return e
}

// decode removes a byte order mark and converts UTF-16 to UTF-8.
func decode(r *bufio.Reader) *guard {
	mark, _ := r.Peek(3) // an error comes again with the first Read
	switch {
	case bytes.HasPrefix(mark, []byte{0xef, 0xbb, 0xbf}):
		_, _ = r.Discard(3) // these were peeked at
		return newGuard(r, false)
	case bytes.HasPrefix(mark, []byte{0xff, 0xfe}), bytes.HasPrefix(mark, []byte{0xfe, 0xff}):
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		return newGuard(utf16.Reader(r), true)
	default:
		return newGuard(r, false)
	}
}
