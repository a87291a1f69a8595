package input

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Sentinels, wrapped by *Error; test with errors.Is.
var (
	// ErrTooLarge: a record is longer than MaxRecord or the list has more than MaxColumns columns.
	ErrTooLarge = errors.New("too large")
	// ErrFormat: the file is not what its format demands, or no known format's name was given.
	ErrFormat = errors.New("malformed list")
	// ErrEncoding: the bytes are not the text they should be: NUL bytes, invalid UTF-8 or UTF-16, damaged
	// gzip, gzip within gzip, a zip archive.
	ErrEncoding = errors.New("not valid text")
	// ErrNoIDColumn: no column holds machine ids, nor (with Options.Resolve) names or Entra device ids.
	ErrNoIDColumn = errors.New("no machine id column")
	// ErrAmbiguousColumns: two columns could be meant where only one can be.
	ErrAmbiguousColumns = errors.New("ambiguous columns")
	// ErrEmpty: the list has no rows.
	ErrEmpty = errors.New("empty list")
	// ErrNotAFile: the path is a directory.
	ErrNotAFile = errors.New("not a file")
)

// Error says why a list as a whole cannot be read.
type Error struct {
	File   string // the path as given, "-" for standard input
	Line   int    // 1-based, 0 when no line is to blame
	Column string // the column as the list spells it, "" when no column is to blame
	Reason string // what is wrong
	Hint   string // what a person can do about it, "" when nothing is known; not part of Error()
	Err    error  // a sentinel of this package, a cause, or both
}

// Error returns "file: line 3: column "id": reason" on one line, free of control characters.
func (e *Error) Error() string {
	return position(e.File, e.Line, e.Column) + printable(e.Reason)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// BadRow is a row that cannot be used.
type BadRow struct {
	File   string // the path as given, "-" for standard input
	Line   int    // 1-based line on which the record begins
	Column string // the column to blame as the list spells it, "" for the whole row
	Reason string // what is wrong; of a row of a JSON document it begins with "element 17: ", counted through the file
}

// String returns "file: line 3: column "id": reason" on one line, free of control characters.
func (b BadRow) String() string {
	return position(b.File, b.Line, b.Column) + printable(b.Reason)
}

// BadRowsError says that a list holds rows that cannot be used.
type BadRowsError struct {
	File  string
	Rows  []BadRow // the first MaxReported
	Total int      // all of them
}

// Error returns a heading and one line for each of Rows.
func (e *BadRowsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sbad rows: %d", position(e.File, 0, ""), e.Total)
	for _, row := range e.Rows {
		b.WriteString("\n" + row.String())
	}
	if more := e.Total - len(e.Rows); more > 0 {
		fmt.Fprintf(&b, "\n… and %d more", more)
	}
	return b.String()
}

func position(file string, line int, column string) string {
	var b strings.Builder
	if file != "" {
		b.WriteString(printable(file) + ": ")
	}
	if line > 0 {
		fmt.Fprintf(&b, "line %d: ", line)
	}
	if column != "" {
		fmt.Fprintf(&b, "column %s: ", quoted(column))
	}
	return b.String()
}

// inFile names the file in an error of a reader, and turns any other error into an *Error.
func inFile(err error, path string) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = path
		return e
	}
	return &Error{File: path, Reason: err.Error(), Err: err}
}

// quoted quotes a cell for a message, cut short so that a hostile cell of a megabyte does not fill the screen.
func quoted(s string) string {
	const most = 60
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		return strconv.Quote(string(r[:most])) + "…"
	}
	return strconv.Quote(s)
}

// printable escapes what a terminal would obey. Quoted cells hold nothing of the kind, but paths and the texts of causes may.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
