// Package input reads lists of machines: what a person exported from the Defender portal, saved from the API or from
// advanced hunting, or typed into a file.
//
// Start with [Read]. It takes a path ("-" for standard input), recognises compression, encoding, format and columns
// from what the file holds, and returns a [List] or an error that names file and line.
//
// # What is promised
//
//   - Every ID in a List is 40 lower-case hexadecimal digits, and no two machines of a List share one.
//   - Nothing is guessed: a row that cannot be understood is a [BadRow] with line, column and reason, and two columns
//     that could both hold the id are refused.
//   - Nothing is swallowed: a quoted CSV field may hold line breaks, but one that holds what looks like rows is refused.
//   - Every row is accounted for: Machines, Unresolved, NotOnboarded, Duplicates and BadRows add up to Rows.
//   - Memory grows with what is kept and with nothing else: no record may exceed [MaxRecord] bytes, no list
//     [MaxColumns] columns, and both are checked before a parser sees the bytes.
//   - Text is UTF-8 when it leaves: UTF-16 with a byte order mark is converted; NUL bytes and invalid text are refused.
//
// Cells are not made safe for terminals or spreadsheets, since they are data; whoever prints them escapes them. Error
// texts and the rejects file are made safe here.
package input

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
)

const (
	// MaxRecord is the longest CSV record, JSON element or line that is read, in bytes of UTF-8.
	MaxRecord = 1 << 20
	// MaxColumns is the largest number of columns of one list. The widest Defender portal export known has 32.
	MaxColumns = 1000
	// MaxReported is how many bad rows an error or a List holds; Options.Rejects gets all of them.
	MaxReported = 100
)

// Machine is one row of a list.
type Machine struct {
	// ID is the Defender machine id, 40 lower-case hexadecimal digits. It is empty only in List.Unresolved.
	ID string
	// Name is the computer's name as the list spells it, "" when the list has none.
	Name string
	// AADDeviceID is the Entra device id, lower-cased, "" when the list has none.
	AADDeviceID string
	// Comment is this machine's own comment, "" when the list has none.
	Comment string
	// Carried holds the values of List.Columns in that order. It may be shorter: empty values at the end are left out.
	Carried []string
	// Line is the 1-based line of the decompressed, decoded file on which the record begins.
	Line int
}

// Options says how a list is read. The zero value reads any recognised format strictly.
type Options struct {
	// Format overrides the recognition of the format. Default: Auto.
	Format Format
	// SkipBadRows goes on without bad rows; List.Bad and List.BadRows tell of them. Default: Read fails with a
	// *BadRowsError after it has read the whole list.
	SkipBadRows bool
	// Rejects, if set, gets every bad row as CSV with the columns file, line, column and reason, under a header, safe
	// to open in a spreadsheet. That is a report and no list: the rows are to be corrected where they came from.
	Rejects io.Writer
	// IncludeNotOnboarded puts machines into List.Machines although the list says that they are not onboarded.
	IncludeNotOnboarded bool
	// Resolve keeps rows that have a name or an Entra device id but no machine id, in List.Unresolved. Default: they
	// are bad rows.
	Resolve bool
	// Stdin is what the path "-" reads. Default: an empty file.
	Stdin io.Reader
}

// List is what was read.
type List struct {
	// Path is the path as given, "-" for standard input.
	Path string
	// SHA256 is the hash of the file's bytes as they stand, before decompression and decoding, in hexadecimal.
	SHA256 string
	// Format is the format that was recognised or asked for, never Auto.
	Format Format
	// Portal says that the columns are those of a device inventory exported by the Defender portal, which holds every
	// device of the tenant whatever was filtered on screen.
	Portal bool
	// Columns names the carried columns: all but the machine id, the name and the comment. Names are as the list spells
	// them, except that a repeated one gets a number ("owner (2)") and one without a name is called "column 7".
	Columns []string
	// Machines holds one machine per id, in the order of the list; the first row of an id wins.
	Machines Machines
	// Unresolved holds the rows without an id, when Options.Resolve is set.
	Unresolved []Machine
	// NotOnboarded holds the machines that were left out since the list gives them a status other than Onboarded.
	NotOnboarded []Machine
	// Rows counts the rows that were not blank.
	Rows int
	// Duplicates counts the rows whose id an earlier row has.
	Duplicates int
	// BadRows counts the rows that could not be used; Bad holds the first MaxReported of them.
	BadRows int
	Bad     []BadRow
}

// Value returns the machine's value in a carried column, "" when there is none. The column is matched as spelled in
// List.Columns and, failing that, whatever its case, spaces, underscores and hyphens.
func (l *List) Value(m Machine, column string) string {
	for _, same := range []func(string) bool{
		func(c string) bool { return c == column },
		func(c string) bool { return normalise(c) == normalise(column) },
	} {
		for i, c := range l.Columns {
			if i < len(m.Carried) && same(c) {
				return m.Carried[i]
			}
		}
	}
	return ""
}

// HasColumn says whether Value knows the column.
func (l *List) HasColumn(column string) bool {
	return slices.ContainsFunc(l.Columns, func(c string) bool { return normalise(c) == normalise(column) })
}

// Read reads the list at path, or Options.Stdin when the path is "-".
//
// It reads to the end of the file before it returns, so that all bad rows are known at once. It fails with an *Error
// that wraps one of this package's sentinels or the cause (fs.ErrNotExist, the context's error, …), or with a
// *BadRowsError when rows are bad and Options.SkipBadRows is not set. A list of which nothing can be sent, since all of
// its rows were skipped or left out, is no error.
func Read(ctx context.Context, path string, o Options) (*List, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src, err := open(ctx, path, o.Stdin)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	c := newCollector(path, o)
	err = c.read(src, o.Format)
	lost := c.rejects.flush()
	if err == nil {
		c.list.SHA256, err = src.sum()
	}
	if err != nil {
		return nil, inFile(err, path)
	}
	list, err := c.finish()
	if lost != nil {
		// The bad rows are told of all the same.
		return nil, errors.Join(err, inFile(lost, path))
	}
	return list, err
}

// read recognises the format and runs its reader.
func (c *collector) read(src *source, want Format) error {
	prefix, err := src.peek()
	if err != nil {
		return err
	}
	format, layout := recognise(prefix, want)
	c.list.Format = format
	return c.follow(src, func(f *feed) error {
		switch format {
		case JSON:
			return readJSON(src, c.columns, f, layout)
		case NDJSON:
			return readNDJSON(src, c.columns, f)
		case Plain:
			return readPlain(src, f)
		default:
			return readCSV(src, c.columns, f, c.o.Resolve)
		}
	})
}

// sum returns the hash of the raw bytes. Parsers stop at the end of the text, which may come before the end of the file.
func (s *source) sum() (string, error) {
	if _, err := io.Copy(io.Discard, s.raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(s.raw.hash.Sum(nil)), nil
}
