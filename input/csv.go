package input

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// sheet reads CSV records and puts them into batches for gocsv, narrowed to the columns of a record under the names of
// its tags. gocsv fills in empty fields, without an error, for columns that it does not find by their exact names; here
// it is never asked to find one. What it must not see, carried columns and what is wrong with rows, goes around it, and
// so does what it need not see: it makes two records of every row, and each field costs twice.
type sheet struct {
	*feed
	src     *source
	columns *columns
	resolve bool
	r       *csv.Reader
	start   int64 // offset and
	lines   int   // lines of what stands before the header

	pick   []int    // the columns of a record,
	header []string // what its tags call them,
	id     string   // and what the list calls that of the machine id
}

func readCSV(src *source, columns *columns, f *feed, resolve bool) error {
	s := &sheet{src: src, columns: columns, feed: f, resolve: resolve}
	if err := s.readHeader(); err != nil {
		return err
	}
	for {
		before := s.r.InputOffset()
		fields, line, err := s.next()
		switch bytes := int(s.r.InputOffset() - before); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			if err := s.broken(line, err); err != nil {
				return err
			}
		case !blank(fields):
			s.take(fields, s.rowOf(fields, line), bytes)
		}
	}
}

// broken takes a row that cannot be taken apart, or returns what ends the reading.
func (s *sheet) broken(line int, err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	s.take(nil, row{line: line, fault: parse.Err.Error()}, 0)
	return nil
}

// UnmarshalCSVWithFields has gocsv hand over the values as they are. Without it, gocsv puts each into an interface, to
// find out what type the field is of, which costs an allocation a value.
func (r *record) UnmarshalCSVWithFields(column, value string) error {
	switch column {
	case idTag:
		r.ID = value
	case nameTag:
		r.Name = value
	case commentTag:
		r.Comment = value
	}
	return nil
}

// readHeader finds the separator and the columns.
func (s *sheet) readHeader() error {
	prefix, err := s.src.peek()
	if err != nil {
		return err
	}
	length, lines, comma := preamble(prefix)
	if comma == 0 {
		comma = separator(prefix[length:])
	}
	if _, err := s.src.text.Discard(length); err != nil {
		return err
	}
	s.start, s.lines = int64(length), lines
	s.r = csv.NewReader(s.src.text)
	s.r.Comma, s.r.FieldsPerRecord, s.r.ReuseRecord = comma, -1, true
	header, line, err := s.firstRecord()
	if err != nil {
		return err
	}
	if err := s.columns.add(line, header); err != nil {
		return err
	}
	if err := s.columns.identify(line, s.resolve); err != nil {
		return err
	}
	s.prepare()
	return nil
}

// firstRecord returns the first record that is not blank.
func (s *sheet) firstRecord() ([]string, int, error) {
	for {
		fields, line, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, 0, &Error{Reason: "the list is empty", Err: ErrEmpty}
		case err != nil:
			return nil, 0, err
		case slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(f, "\r") }):
			return nil, 0, &Error{
				Line: line, Err: ErrFormat,
				Reason: "the header holds a carriage return without a line feed",
				Hint:   "the lines of the file seem to end in CR only: save it with LF or CRLF",
			}
		case !blank(fields):
			return slices.Clone(fields), line, nil
		}
	}
}

// The names of a record's tags.
const (
	idTag      = "id"
	nameTag    = "name"
	commentTag = "comment"
)

var tags = [...]string{idRole: idTag, nameRole: nameTag, commentRole: commentTag}

// prepare notes which columns make a record.
func (s *sheet) prepare() {
	for r, tag := range tags {
		if column := s.columns.byRole[r]; tag != "" && column >= 0 {
			s.pick, s.header = append(s.pick, column), append(s.header, tag)
		}
	}
	s.id = s.columns.spelling(idRole)
}

// next reads a record. A *csv.ParseError is about one line and leaves the reader at the next; any other is final.
func (s *sheet) next() ([]string, int, error) {
	s.src.begin(s.start + s.r.InputOffset())
	fields, err := s.r.Read()
	if err == nil {
		line, _ := s.r.FieldPos(0)
		line += s.lines
		if s.src.breaksBefore(s.start + s.r.InputOffset() - 1) {
			err = s.swallowed(fields, line)
		}
		return fields, line, err
	}
	var parse *csv.ParseError
	switch err = s.src.because(err); {
	case !errors.As(err, &parse):
		return nil, 0, err
	case parse.StartLine == parse.Line && s.header != nil:
		return nil, s.lines + parse.StartLine, parse
	}
	// A quote that swallows line breaks is no bad row: to go on after it would pass over every row in between as if
	// they were one, and a person who skips bad rows would never hear of them.
	return nil, 0, &Error{
		Line: s.lines + parse.StartLine, Err: ErrFormat,
		Reason: "a quotation mark in the record that begins here is not closed, or not doubled: " + parse.Err.Error(),
		Hint:   `write a quotation mark inside a quoted field as "", and close every quoted field`,
	}
}

// rowOf refuses a row with more values than the header has columns, which is what an unquoted separator makes of a row.
func (s *sheet) rowOf(fields []string, line int) row {
	width := len(s.columns.spelled)
	if len(fields) <= width || blank(fields[width:]) {
		return row{line: line, column: s.id}
	}
	return row{line: line, fault: fmt.Sprintf("the row has %d values, the header %d columns", len(fields), width)}
}

// take puts a row into the batch.
func (s *sheet) take(fields []string, r row, bytes int) {
	if len(s.narrow) == 0 {
		s.narrow = append(s.narrow, s.header)
	}
	at := len(s.rows) + 1
	if at == len(s.narrow) {
		s.narrow = append(s.narrow, make([]string, len(s.pick)))
	}
	for i, column := range s.pick {
		s.narrow[at][i] = cell(fields, column)
	}
	for column, place := range s.columns.place {
		if place >= 0 {
			s.carried = append(s.carried, cell(fields, column))
		}
	}
	r.aad = cell(fields, s.columns.byRole[aadRole])
	r.onboarding = cell(fields, s.columns.byRole[onboardingRole])
	s.add(r, bytes)
}

func cell(fields []string, column int) string {
	if column < 0 || column >= len(fields) {
		return ""
	}
	return fields[column]
}

func blank(fields []string) bool {
	for _, f := range fields {
		if f != "" && (f[0] > ' ' && f[0] < utf8.RuneSelf || strings.TrimSpace(f) != "") {
			return false
		}
	}
	return true
}
