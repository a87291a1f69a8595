package input

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// rejects counts bad rows, keeps the first of them and writes all of them to a CSV file.
type rejects struct {
	file  string
	out   *csv.Writer // nil: nobody asked for them
	first []BadRow
	total int
}

func newRejects(file string, w io.Writer) *rejects {
	r := &rejects{file: file}
	if w != nil {
		r.out = csv.NewWriter(w)
		_ = r.out.Write([]string{"file", "line", "column", "reason"})
	}
	return r
}

func (r *rejects) add(line int, column, reason string) {
	bad := BadRow{File: r.file, Line: line, Column: column, Reason: reason}
	r.total++
	if len(r.first) < MaxReported {
		r.first = append(r.first, bad)
	}
	r.write(bad)
}

// AppendRejects writes bad rows in the form that Options.Rejects gets them in, without the header: they are added to what
// Read has written.
func AppendRejects(w io.Writer, rows []BadRow) error {
	r := &rejects{out: csv.NewWriter(w)}
	for _, row := range rows {
		r.write(row)
	}
	return r.flush()
}

// write leaves errors to flush: the writer keeps the first one.
func (r *rejects) write(b BadRow) {
	if r.out == nil {
		return
	}
	cells := []string{b.File, strconv.Itoa(b.Line), b.Column, b.Reason}
	for i, cell := range cells {
		cells[i] = SafeCell(cell)
	}
	_ = r.out.Write(cells)
}

func (r *rejects) flush() error {
	if r.out == nil {
		return nil
	}
	r.out.Flush()
	if err := r.out.Error(); err != nil {
		return &Error{Reason: fmt.Sprintf("the rejects could not be written: %v", err), Err: err}
	}
	return nil
}

// SafeCell makes a text safe to be written as a CSV cell that a person opens in a terminal or a spreadsheet.
func SafeCell(text string) string { return neutralise(printable(text)) }

// formula finds what a spreadsheet may take for one: at the beginning of a cell, looking past blanks as spreadsheets
// do, and after what other spreadsheets end a cell at.
var formula = regexp.MustCompile(`(^|[;\t\r\n])([\s\v\x{85}\x{feff}\pZ]*)([=+\-@＝＋－＠])`)

// neutralise keeps a spreadsheet from taking a cell, or a part of it, for a formula. An apostrophe before it makes it
// text. A cell that begins with a tab or a line break gets one too.
func neutralise(cell string) string {
	if cell != "" && strings.IndexByte("\t\r\n", cell[0]) >= 0 {
		cell = "'" + cell
	}
	for formula.MatchString(cell) { // one may be hidden by the blanks before another
		cell = formula.ReplaceAllString(cell, "$1'$2$3")
	}
	return cell
}
