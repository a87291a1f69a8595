package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
)

// footer is a terminal with rows at its bottom that stay there while what is
// written scrolls by above them. What many write at the same time comes out whole.
//
// A row that has not changed is not drawn again, a frame is a single write, and
// nothing is erased before it is drawn over: a slow line would show all that as
// flicker. Without rows it is the writer below it, byte for byte.
type footer struct {
	w io.Writer
	// size is the terminal's; nil for 80 by 24. 0 is taken for not known.
	size func() (width, height int)

	mu     sync.Mutex
	rows   []string // as they are on the screen
	width  int      // of the terminal when they were drawn
	hidden int      // while somebody types below
}

const (
	cursorUp   = "\x1b[%dA"
	eraseRight = "\x1b[K" // of the cursor, in its line
)

func (f *footer) dimensions() (width, height int) {
	if f.size != nil {
		width, height = f.size()
	}
	if width < 1 || height < 1 {
		return terminalWidth, 24
	}
	return width, height
}

// Write writes above the rows.
func (f *footer) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rows) == 0 {
		return f.w.Write(p)
	}
	rows := f.rows
	above := f.erased() + strings.TrimSuffix(string(p), "\n") + "\n"
	if _, err := io.WriteString(f.w, above+f.drawn(rows)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// show has these rows at the bottom from now on, as many of them as there is room
// for. None may be as wide as the terminal. A terminal that is gone takes nothing,
// which is nobody's error.
func (f *footer) show(rows []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	width, height := f.dimensions()
	rows = rows[:min(len(rows), height-1)]
	if f.hidden > 0 || width == f.width && slices.Equal(rows, f.rows) {
		return
	}
	var frame string
	if width == f.width && len(f.rows) > 0 {
		frame = f.changed(rows)
	} else {
		frame = f.erased() + f.drawn(rows)
	}
	_, _ = io.WriteString(f.w, frame)
}

// changed draws over the rows that differ.
func (f *footer) changed(rows []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, cursorUp, len(f.rows))
	for i, row := range rows {
		if i >= len(f.rows) || row != f.rows[i] {
			b.WriteString(row + eraseRight)
		}
		b.WriteString("\n")
	}
	if len(rows) < len(f.rows) {
		b.WriteString(clearBelow)
	}
	f.rows = slices.Clone(rows)
	return b.String()
}

// drawn draws the rows, which the terminal may have become too narrow for.
func (f *footer) drawn(rows []string) string {
	f.width, _ = f.dimensions()
	f.rows = make([]string, len(rows))
	var b strings.Builder
	for i, row := range rows {
		f.rows[i] = runewidth.Truncate(row, max(1, f.width-1), "…")
		b.WriteString(f.rows[i] + "\n")
	}
	return b.String()
}

// erased takes the rows away. A terminal that has become narrower has broken them
// into more lines than were drawn.
func (f *footer) erased() string {
	width, height := f.dimensions()
	lines := 0
	for _, row := range f.rows {
		lines += max(1, (runewidth.StringWidth(row)+width-1)/width)
	}
	f.rows = nil
	if lines == 0 {
		return ""
	}
	return fmt.Sprintf(cursorUp, min(lines, height-1)) + "\r" + clearBelow
}

// hide takes the rows away until back is called.
func (f *footer) hide() (back func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if gone := f.erased(); gone != "" {
		_, _ = io.WriteString(f.w, gone)
	}
	f.hidden++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hidden--
	}
}

// forget leaves the rows where they are: somebody else has written below them.
func (f *footer) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = nil
}
