package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// guard stands between the text and its parser. It refuses what is no text, knows the line of every byte, and hands out
// at most MaxRecord bytes after the beginning of a record: a parser that asks for more has a record that is too long.
// Parsers buffer without limit (encoding/csv took 5 GB for a line of 1 GB), so the bound has to stand before them.
type guard struct {
	r     io.Reader
	utf16 bool // the text was converted, and U+FFFD marks what could not be

	offset int64   // bytes handed out
	ink    int64   // end of the last byte handed out that is no line break
	breaks []int64 // offsets of line breaks handed out; those before passed lie before mark
	passed int
	mark   int64  // where the current record begins
	line   int    // 1-based, of mark
	split  []byte // the beginning of a rune whose end comes with the next read
	err    error
}

func newGuard(r io.Reader, utf16 bool) *guard {
	return &guard{r: r, utf16: utf16, line: 1}
}

// begin moves the bound: a record begins at this offset.
func (g *guard) begin(offset int64) {
	for g.passed < len(g.breaks) && g.breaks[g.passed] < offset {
		g.passed++
		g.line++
	}
	g.mark = offset
}

// lineAt returns the line of an offset at or after the beginning of the record.
func (g *guard) lineAt(offset int64) int {
	i, _ := slices.BinarySearch(g.breaks[g.passed:], offset)
	return g.line + i
}

// breaksBefore says that a line break stands between the beginning of the record and this offset.
func (g *guard) breaksBefore(offset int64) bool {
	return g.passed < len(g.breaks) && g.breaks[g.passed] < offset
}

// because returns the reason why reading ended: ours if there is one, since parsers wrap errors in their own.
func (g *guard) because(err error) error {
	if g.err != nil && !errors.Is(g.err, io.EOF) {
		return g.err
	}
	return err
}

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.ink <= g.mark {
		g.begin(g.offset) // nothing but line breaks so far
	}
	room := g.mark + MaxRecord - g.offset
	if room <= 0 {
		g.err = &Error{
			Line:   g.line,
			Reason: fmt.Sprintf("the record that begins here is longer than %d bytes", MaxRecord),
			Hint:   "look for a missing closing quote or bracket, or for a file that is no list",
			Err:    ErrTooLarge,
		}
		return 0, g.err
	}
	n, err := g.r.Read(p[:min(int64(len(p)), room)])
	if bad := g.check(p[:n], err); bad != nil {
		g.err = bad
		return 0, bad
	}
	g.note(p[:n])
	g.err = err
	return n, err
}

// note keeps account of what is handed out.
func (g *guard) note(chunk []byte) {
	g.breaks = g.breaks[:copy(g.breaks, g.breaks[g.passed:])]
	g.passed = 0
	if text := bytes.TrimRight(chunk, "\r\n"); len(text) > 0 {
		g.ink = g.offset + int64(len(text))
	}
	for i := 0; ; i++ {
		next := bytes.IndexByte(chunk[i:], '\n')
		if next < 0 {
			break
		}
		i += next
		g.breaks = append(g.breaks, g.offset+int64(i))
	}
	g.offset += int64(len(chunk))
}

// check looks for bytes that are no text.
func (g *guard) check(chunk []byte, err error) error {
	if i := bytes.IndexByte(chunk, 0); i >= 0 {
		return g.refuse(chunk[:i], "holds a NUL byte", "the file is no text, or UTF-16 without a byte order mark: save it as UTF-8")
	}
	rest := chunk
	for len(g.split) > 0 && !utf8.FullRune(g.split) && len(rest) > 0 {
		g.split, rest = append(g.split, rest[0]), rest[1:]
	}
	whole := len(rest) - unfinished(rest)
	switch {
	case utf8.FullRune(g.split) && !g.valid(g.split):
		return g.garbled(nil)
	case !g.valid(rest[:whole]):
		return g.garbled(rest[:g.validPrefix(rest[:whole])])
	case errors.Is(err, io.EOF) && (whole < len(rest) || len(g.split) > 0 && !utf8.FullRune(g.split)):
		return g.garbled(rest[:whole])
	}
	if utf8.FullRune(g.split) {
		g.split = g.split[:0]
	}
	g.split = append(g.split, rest[whole:]...)
	return nil
}

func (g *guard) valid(b []byte) bool {
	return utf8.Valid(b) && (!g.utf16 || !bytes.ContainsRune(b, utf8.RuneError))
}

func (g *guard) validPrefix(b []byte) int {
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && (size == 1 || g.utf16) {
			break
		}
		n += size
	}
	return n
}

// unfinished returns how many bytes at the end begin a rune that goes on in the next chunk.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

func (g *guard) garbled(before []byte) error {
	if g.utf16 {
		return g.refuse(before, "is not valid UTF-16", "save the file as UTF-8")
	}
	return g.refuse(before, "is not valid UTF-8", `save the file as UTF-8 (in Excel "CSV UTF-8")`)
}

func (g *guard) refuse(before []byte, reason, hint string) error {
	line := g.line + len(g.breaks[g.passed:]) + bytes.Count(before, []byte{'\n'})
	return &Error{Line: line, Reason: "the line " + reason, Hint: hint, Err: ErrEncoding}
}
