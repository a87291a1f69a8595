package input

import (
	"encoding/csv"
	"fmt"
	"io"
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
		cells[i] = neutralise(cell)
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

// neutralise keeps a spreadsheet from taking a cell for a formula. Spreadsheets look past leading blanks, so does this.
func neutralise(cell string) string {
	text := strings.TrimLeft(cell, " \t\r\n\v\f\u00a0\ufeff")
	formula := text != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(text)[0])
	if formula || strings.HasPrefix(cell, "\t") || strings.HasPrefix(cell, "\r") || strings.HasPrefix(cell, "\n") {
		return "'" + cell
	}
	return cell
}
