package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-runewidth"
)

// table writes rows of cells below one another. On a terminal that is too narrow for
// them a row takes several lines: what is told of a machine is never cut short.
type table struct {
	w     io.Writer
	width int // of the terminal, 0 for any
	rows  [][]string
}

func (a *app) table() *table { return &table{w: a.env.stdout, width: a.width()} }

// width is that of the terminal that reads stdout, 0 if none does.
func (a *app) width() int {
	if a.env.width == nil {
		return 0
	}
	return a.env.width()
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

const (
	indent = 4 // of a row's further lines
	// narrowest is how wide text is at the least; who reads in less than that sees
	// it broken by the terminal.
	narrowest = 16
)

func (t *table) flush() error {
	if t.width == 0 || t.needs() <= t.width {
		return t.aligned()
	}
	var b strings.Builder
	for _, cells := range t.rows {
		b.WriteString(cells[0] + "\n")
		for _, line := range wrapped(strings.Join(cells[1:], "  "), max(t.width-indent, narrowest)) {
			fmt.Fprintf(&b, "%*s%s\n", indent, "", line)
		}
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (t *table) aligned() error {
	w := tabwriter.NewWriter(t.w, 0, 4, 2, ' ', 0)
	for _, cells := range t.rows {
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// needs is how wide the columns are together.
func (t *table) needs() (width int) {
	var columns []int
	for _, cells := range t.rows {
		for i, cell := range cells {
			if i == len(columns) {
				columns = append(columns, 0)
			}
			columns[i] = max(columns[i], runewidth.StringWidth(harmless(cell)))
		}
	}
	for _, column := range columns {
		width += column + 2
	}
	return width - 2
}
