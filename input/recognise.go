package input

import (
	"bytes"
	"encoding/csv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// layout is where a JSON text keeps its rows.
type layout int

const (
	arrays  layout = iota // [row, row, …]
	replies               // {"value":[row, …]} or {"Results":[row, …]}
	objects               // row row …
)

// recognise tells the format from the beginning of a text, unless one is asked for.
func recognise(prefix []byte, want Format) (Format, layout) {
	text := bytes.TrimLeft(prefix, " \t\r\n")
	shape, lines := arrays, false
	if bytes.HasPrefix(text, []byte("{")) {
		shape, lines = recogniseObject(text)
	}
	switch {
	case want != Auto:
		return want, shape
	case lines:
		return NDJSON, shape
	case shape != arrays || bytes.HasPrefix(text, []byte("[")):
		return JSON, shape
	case looksPlain(text):
		return Plain, shape
	default:
		return CSV, shape
	}
}

// recogniseObject tells a reply from a row. lines says that the first object is a row and ends on its first line. An
// object that goes on beyond the prefix is taken for a reply: rows are short.
func recogniseObject(text []byte) (shape layout, lines bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() == '"' {
		var name jsontext.Token
		if name, err = dec.ReadToken(); err != nil {
			break
		}
		if isContainer(name.String()) && dec.PeekKind() == '[' {
			return replies, false
		}
		err = dec.SkipValue()
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if err == nil && dec.PeekKind() == '}' {
		return objects, dec.InputOffset() < int64(len(first))
	}
	if len(first) < len(text) && bytes.HasSuffix(bytes.TrimRight(first, " \t\r"), []byte("}")) {
		return objects, true // a damaged first line of many: the rows will tell
	}
	return replies, false
}

// isContainer says that an array under this key holds the rows: OData's key and that of advanced hunting.
func isContainer(key string) bool {
	return strings.EqualFold(key, "value") || strings.EqualFold(key, "results")
}

// looksPlain looks at the first line that is neither blank nor a remark. A wrong id counts as an id here, so that it is
// reported as a bad row and not as a strange header.
func looksPlain(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("#TYPE")) {
			return false
		}
		if len(line) > 0 && line[0] != '#' {
			return looksLikeID(string(line))
		}
	}
	return false
}

// preamble returns the length of the lines before a CSV header that are addressed to Excel ("sep=;") or left by
// PowerShell ("#TYPE …"), how many they are, and the separator if they name one.
func preamble(prefix []byte) (length, lines int, comma rune) {
	for line := range bytes.Lines(prefix) {
		text := strings.Trim(strings.TrimSpace(string(line)), `"`)
		sep, isSep := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(string(line), "\n")), "sep=")
		sep = strings.TrimSuffix(sep, "\r")
		switch {
		case isSep && (sep == "," || sep == ";" || sep == "\t"):
			comma = rune(sep[0])
		case len(text) == 5 && strings.EqualFold(text[:4], "sep="):
			comma = rune(text[4])
		case strings.HasPrefix(text, "#TYPE"):
		default:
			return length, lines, comma
		}
		length += len(line)
		lines++
	}
	return length, lines, comma
}

// separator picks the separator under which the header has most known columns, then most columns.
func separator(header []byte) rune {
	best, known, width := ',', -1, 0
	for _, comma := range []rune{',', ';', '\t'} {
		r := csv.NewReader(bytes.NewReader(header))
		r.Comma, r.FieldsPerRecord = comma, -1
		names, err := r.Read()
		if err != nil {
			continue
		}
		n := 0
		for _, name := range names {
			if roleNames[normalise(name)] != other {
				n++
			}
		}
		if n > known || n == known && len(names) > width {
			best, known, width = comma, n, len(names)
		}
	}
	return best
}
