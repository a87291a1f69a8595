package input

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gocarina/gocsv"
)

// batchRows and batchBytes bound how much of a list is taken apart before its machines are collected.
const (
	batchRows  = 256
	batchBytes = MaxRecord
)

// sheet reads CSV records and shows gocsv batches of them, narrowed to the columns of a record under the names of its
// tags. gocsv fills in empty fields, without an error, for columns that it does not find by their exact names; here it
// is never asked to find one. What it must not see, carried columns and broken rows, goes around it.
type sheet struct {
	src   *source
	c     *collector
	r     *csv.Reader
	start int64 // offset and
	lines int   // lines of what stands before the header

	pick   []int    // the columns of a record,
	header []string // and what its tags call them
	width  int      // the number of carried columns
	batch  *batch   // being filled
	done   error    // io.EOF, or what ended the reading
}

// batch is a number of rows on their way from the sheet to the collector.
type batch struct {
	narrow  [][]string // what gocsv sees; the first row is the header
	records []record   // what gocsv makes of it
	rows    []sheetRow
	carried []string // values of the carried columns, row after row
}

// sheetRow is what the sheet keeps of a row besides its record.
type sheetRow struct {
	line   int
	reason string // why it is broken, "" when it is not
}

var _ gocsv.CSVReader = (*sheet)(nil)

func readCSV(src *source, c *collector) error {
	s := &sheet{src: src, c: c}
	if err := s.readHeader(); err != nil {
		return err
	}
	s.batch = s.newBatch()
	for s.done == nil {
		if err := gocsv.UnmarshalCSV(s, &s.batch.records); err != nil {
			return err
		}
		s.collect(s.batch)
	}
	if !errors.Is(s.done, io.EOF) {
		return s.done
	}
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
	case aadTag:
		r.AADDeviceID = value
	case onboardingTag:
		r.Onboarding = value
	}
	return nil
}

func (s *sheet) collect(b *batch) {
	for i, row := range b.rows {
		if row.reason != "" {
			s.c.broken(row.line, "", row.reason)
			continue
		}
		s.c.add(row.line, &b.records[i], b.carried[i*s.width:(i+1)*s.width])
	}
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
	if err := s.c.columns.add(line, header); err != nil {
		return err
	}
	if err := s.c.columns.identify(line, s.c.o.Resolve); err != nil {
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
	idTag         = "id"
	nameTag       = "name"
	commentTag    = "comment"
	aadTag        = "aadDeviceId"
	onboardingTag = "onboardingStatus"
)

var tags = [roles]string{idRole: idTag, nameRole: nameTag, commentRole: commentTag, aadRole: aadTag, onboardingRole: onboardingTag}

// prepare notes which columns make a record.
func (s *sheet) prepare() {
	for r := idRole; r < roles; r++ {
		if column := s.c.columns.byRole[r]; column >= 0 {
			s.pick = append(s.pick, column)
			s.header = append(s.header, tags[r])
		}
	}
	s.width = len(s.c.columns.carried)
}

func (s *sheet) newBatch() *batch {
	b := &batch{narrow: [][]string{s.header}, records: make([]record, batchRows), rows: make([]sheetRow, 0, batchRows)}
	for range batchRows {
		b.narrow = append(b.narrow, make([]string, len(s.pick)))
	}
	return b
}

// Read is never called: gocsv.UnmarshalCSV takes everything at once.
func (s *sheet) Read() ([]string, error) { return nil, errors.ErrUnsupported }

// ReadAll returns the header and the next batch, which ends early where the reading does; done says so.
func (s *sheet) ReadAll() ([][]string, error) {
	b := s.batch
	b.rows, b.carried = b.rows[:0], b.carried[:0]
	end := s.r.InputOffset() + batchBytes
	for s.done == nil && len(b.rows) < batchRows && s.r.InputOffset() < end {
		fields, line, err := s.next()
		switch {
		case err != nil:
			s.broken(line, err)
		case !blank(fields):
			s.take(fields, line, s.surplus(fields))
		}
	}
	return b.narrow[:len(b.rows)+1], nil
}

// broken takes a row that cannot be taken apart, or ends the reading.
func (s *sheet) broken(line int, err error) {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		s.take(nil, line, parse.Err.Error())
		return
	}
	s.done = err // not returned by ReadAll: the rows before it come first
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

// surplus refuses a row with more values than the header has columns, which is what an unquoted separator makes of a row.
func (s *sheet) surplus(fields []string) string {
	width := len(s.c.columns.spelled)
	if len(fields) <= width || blank(fields[width:]) {
		return ""
	}
	return fmt.Sprintf("the row has %d values, the header %d columns", len(fields), width)
}

// take adds a row to the batch.
func (s *sheet) take(fields []string, line int, reason string) {
	b := s.batch
	b.rows = append(b.rows, sheetRow{line: line, reason: reason})
	cells := b.narrow[len(b.rows)]
	for i, column := range s.pick {
		cells[i] = cell(fields, column)
	}
	for column, place := range s.c.columns.place {
		if place >= 0 {
			b.carried = append(b.carried, cell(fields, column))
		}
	}
}

func cell(fields []string, column int) string {
	if column >= len(fields) {
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
