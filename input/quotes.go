package input

import (
	"fmt"
	"strings"
)

// swallowed refuses a record in which a quoted field holds rows of the list. Two stray quotation marks make one field of
// all that stands between them, however far apart they are: it is legal CSV, no parser objects, and hundreds of machines
// become the text of one name. Like a quote that is never closed it is no bad row, since skipping it would skip them all.
func (s *sheet) swallowed(fields []string, line int) error {
	for i, field := range fields {
		breaks := strings.Count(field, "\n")
		rows := breaks > 0 && (s.holdsID(field, i) || s.resolve && s.holdsRows(field, i, len(fields)-1-i))
		if !rows {
			continue
		}
		from, _ := s.r.FieldPos(i)
		from += s.lines
		return &Error{
			Line: line, Err: ErrFormat,
			Reason: fmt.Sprintf("a quoted field of the record that begins here, from line %d to line %d, holds what looks like rows of the list",
				from, from+breaks),
			Hint: "a quotation mark is probably missing or too many near the first or the last of these lines; " +
				"if the field is as it should be, write its text without line breaks",
		}
	}
	return nil
}

// holdsID says that a line within a field, which begins in the given column, has an id where a row has one, be it a
// wrong one. Looking in that place only spares comments that mention ids, or hashes of as many digits. So does this: a
// line that is nothing but an id is a row only where the field and the id both begin the row.
func (s *sheet) holdsID(field string, column int) bool {
	comma := string(s.r.Comma)
	at, alone := column, false
	for line := range strings.SplitSeq(field, "\n") {
		if alone || strings.Contains(line, comma) {
			for cell := range strings.SplitSeq(line, comma) {
				if s.identifies(at) && looksLikeID(strings.Trim(cell, " \t\r\"")) {
					return true
				}
				at++
			}
		}
		at, alone = 0, column == 0
	}
	return false
}

// identifies says that a column holds ids, Defender's or Entra's. In a header no place is known yet, and no id is honest.
func (s *sheet) identifies(column int) bool {
	known := s.columns.byRole
	return s.header == nil || column == known[idRole] || column == known[aadRole]
}

// holdsRows says that a field holds lines with as many cells as the list has columns. It is for rows without ids. Since
// a line of a comment may have as many separators by chance, it takes several such lines, more than half of all, and no
// separator that a space follows, as in prose. In a list of one column, which holds names, one more line is enough.
func (s *sheet) holdsRows(field string, column, after int) bool {
	comma := string(s.r.Comma)
	opening, rest, _ := strings.Cut(field, "\n")
	width := len(s.columns.spelled)
	if s.header == nil {
		width = column + strings.Count(opening, comma) + 1
	}
	last, lines, rows := strings.Count(rest, "\n"), 0, 0
	for line := range strings.SplitSeq(rest, "\n") {
		separators := strings.Count(line, comma)
		cells := separators + 1
		if lines == last {
			cells += after
		}
		lines++
		if cells == width && (separators > 0 || width == 1) && strings.TrimSpace(line) != "" && !strings.Contains(line, comma+" ") {
			rows++
		}
	}
	return rows >= min(width, 2) && 2*rows > lines
}
