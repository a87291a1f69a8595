package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// viewer is a terminal that breaks its lines anew when its width changes, as most
// do, and shows what a person would see.
type viewer struct {
	t  *testing.T
	mu sync.Mutex

	width, height int
	lines         [][]rune // each may take several rows
	line, col     int      // the cursor's
	rest          string   // the beginning of what the next write ends
	writes        int
}

func newViewer(t *testing.T, width, height int) *viewer {
	t.Helper()
	return &viewer{t: t, width: width, height: height, lines: [][]rune{nil}}
}

func (v *viewer) size() (width, height int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.width, v.height
}

func (v *viewer) resize(width int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.width = width
}

// toldTerminal is one thing that a terminal is told: a movement, a line's end, or text.
var toldTerminal = regexp.MustCompile("^(?:\x1b\\[([0-9;]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+)")

func (v *viewer) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writes++
	text := v.rest + string(p)
	for v.rest = ""; text != ""; {
		m := toldTerminal.FindStringSubmatch(text)
		if m == nil || !utf8.ValidString(m[0]) {
			if len(text) > 10 {
				v.t.Errorf("a terminal is told %q", text)
			}
			v.rest = text
			break
		}
		text = text[len(m[0]):]
		v.obey(m[0], m[1], m[2])
	}
	return len(p), nil
}

func (v *viewer) obey(what, number, verb string) {
	n, _ := strconv.Atoi(number)
	switch {
	case what == "\n":
		if v.line++; v.line == len(v.lines) {
			v.lines = append(v.lines, nil)
		}
		v.col = 0
	case what == "\r":
		v.col -= v.col % v.width
	case verb == "A":
		v.up(max(1, n))
	case verb == "J":
		v.lines = v.lines[:v.line+1]
		fallthrough
	case verb == "K":
		if v.col < len(v.lines[v.line]) {
			v.lines[v.line] = v.lines[v.line][:v.col]
		}
	case verb == "m":
	case verb != "":
		v.t.Errorf("a terminal is told %q", what)
	default:
		runes := []rune(what)
		line := v.lines[v.line]
		for len(line) < v.col+len(runes) {
			line = append(line, ' ')
		}
		copy(line[v.col:], runes)
		v.lines[v.line], v.col = line, v.col+len(runes)
	}
}

func (v *viewer) rowsOf(line int) int {
	return max(1, (len(v.lines[line])+v.width-1)/v.width)
}

// up moves the cursor up by so many rows, not beyond the first.
func (v *viewer) up(n int) {
	row := v.col / v.width
	for ; n > row && v.line > 0; row = v.rowsOf(v.line) - 1 {
		n -= row + 1
		v.line--
	}
	v.col = max(0, row-n) * v.width
}

func (v *viewer) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	lines := make([]string, len(v.lines))
	for i, l := range v.lines {
		lines[i] = strings.TrimRight(string(l), " ")
	}
	return strings.Join(lines, "\n")
}

// await returns what is seen once it is as wanted.
func (v *viewer) await(want func(string) bool) string {
	v.t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if text := v.text(); want(text) {
			return text
		}
		select {
		case <-tick.C:
		case <-deadline:
			v.t.Fatalf("the terminal shows\n%s", v.text())
		}
	}
}

// TestFooter: whatever is written scrolls by above the rows, whole and in order, on
// terminals that change their width; when the rows are taken away nothing is left of
// them.
func TestFooter(t *testing.T) {
	t.Parallel()
	v := newViewer(t, 40, 10)
	f := &footer{w: v, size: v.size}
	say := func(text string) {
		if _, err := io.WriteString(f, text); err != nil {
			t.Error(err)
		}
	}
	want := func(rows ...string) {
		t.Helper()
		if got := v.text(); got != strings.Join(rows, "\n") {
			t.Fatalf("%q\nwant\n%q", got, rows)
		}
	}
	row := strings.Repeat("r", 39)
	say("one\n")
	f.show([]string{row, "two"})
	want("one", row, "two", "")
	say("a line of the log that is wider than the whole terminal\n")
	want("one", "a line of the log that is wider than the whole terminal", row, "two", "")
	f.show([]string{row, "2", "three"})
	want("one", "a line of the log that is wider than the whole terminal", row, "2", "three", "")
	v.resize(11) // the first row takes four lines now
	say("after\n")
	want("one", "a line of the log that is wider than the whole terminal", "after", row[:9]+"…", "2", "three", "")
	f.show([]string{"short"})
	want("one", "a line of the log that is wider than the whole terminal", "after", "short", "")
	v.resize(60)
	f.show([]string{"wide again", "x"})
	f.show([]string{"wide again"})
	want("one", "a line of the log that is wider than the whole terminal", "after", "wide again", "")
	back := f.hide()
	say("A question: ")
	f.show([]string{"not now"})
	want("one", "a line of the log that is wider than the whole terminal", "after", "A question:")
	say("\n")
	back()
	f.show(slices.Repeat([]string{"row"}, 30)) // there is room for nine
	if n := strings.Count(v.text(), "row\n"); n != 9 {
		t.Errorf("%d rows:\n%s", n, v.text())
	}
	f.hide()()
	want("one", "a line of the log that is wider than the whole terminal", "after", "A question:", "")
}

// TestFooterIsQuiet: a frame that says nothing new is not written, a changed row is
// written alone, and a frame is one write.
func TestFooterIsQuiet(t *testing.T) {
	t.Parallel()
	var written []string
	f := &footer{w: writerFunc(func(p []byte) (int, error) { written = append(written, string(p)); return len(p), nil })}
	rows := []string{"first", "second", "third"}
	for range 3 {
		f.show(rows)
	}
	f.show([]string{"first", "2", "third"})
	f.forget()
	f.show(rows)
	want := []string{"first\nsecond\nthird\n", fmt.Sprintf(cursorUp, 3) + "\n2" + eraseRight + "\n\n", "first\nsecond\nthird\n"}
	if !slices.Equal(written, want) {
		t.Errorf("%q\nwant\n%q", written, want)
	}
}

// TestFooterOfAClosedTerminal: what shows progress meets no error, and whoever
// writes does.
func TestFooterOfAClosedTerminal(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	f := &footer{w: writerFunc(func([]byte) (int, error) { return 0, gone })}
	f.show([]string{"a row"})
	if _, err := io.WriteString(f, "a line\n"); !errors.Is(err, gone) {
		t.Error(err)
	}
	f.hide()()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
