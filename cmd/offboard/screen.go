package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// screen keeps from a terminal what it would obey: names, comments and answers
// are other people's, and may hold escapes that rewrite the screen or turn the
// reading direction. They come out as \u001b, which is also how JSON spells them.
type screen struct {
	w io.Writer

	mu   sync.Mutex
	rest []byte // the beginning of a character that the next write ends
}

// Write writes p without what a terminal obeys.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := slices.Concat(s.rest, p)
	whole := len(text) - beginning(text)
	s.rest = bytes.Clone(text[whole:])
	if whole == 0 {
		return len(p), nil
	}
	if _, err := io.WriteString(s.w, harmless(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// beginning is how many bytes at the end of text begin a character.
func beginning(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return n
			}
			break
		}
	}
	return 0
}

// harmless spells out whatever a terminal obeys. Invalid bytes go as U+FFFD: some
// terminals take them for control characters.
func harmless(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	if !strings.ContainsFunc(text, obeyed) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !obeyed(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// obeyed says that a terminal may act on r instead of showing it: control and
// formatting characters, those that turn the reading direction among them, and
// the line ends of Unicode.
func obeyed(r rune) bool {
	return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
