package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// objectReader turns JSON objects into rows. Its buffers are used again for every row, and the values of a row end up in
// one string.
type objectReader struct {
	columns  *columns
	feed     *feed
	numbered bool // rows are counted, since a line may hold several

	index map[string]int // columns by key
	keys  [][]byte       // per column its key as first written, with quotes

	text   []byte // the values of this row, one after the other
	cells  []jsonCell
	fresh  []string // keys of this row that no row before had
	values []string // per column
	filled []int    // per column the number of the row that last had it
	row    int
	line   int
	id     string // the row, when it is no object but an id
	fault  string // the first thing wrong with this row
	column string // the column to blame for it
}

// jsonCell is one value of a row.
type jsonCell struct {
	column   int
	from, to int // in text
}

func newObjectReader(columns *columns, f *feed) *objectReader {
	return &objectReader{columns: columns, feed: f, index: map[string]int{}}
}

// read reads one row: an object, or a string that is an id. lineAt knows the line of an offset. What is wrong with a row
// that is sound JSON is for add to report; errors are those of the decoder and of the columns.
func (o *objectReader) read(dec *jsontext.Decoder, lineAt func(offset int64) int) error {
	o.reset()
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	o.line = lineAt(dec.InputOffset() - int64(len(value)))
	switch kind := value.Kind(); kind {
	case '{':
		return o.object(value)
	case '"':
		var id []byte
		id, err = jsontext.AppendUnquote(nil, value)
		o.id = string(id)
	default:
		o.fault = "a row must be an object or a machine id, not " + kindName(kind)
	}
	return err
}

// reset begins a row. It forgets the keys of a row that broke off before its columns were added.
func (o *objectReader) reset() {
	o.row++
	o.text, o.cells, o.id, o.fault, o.column = o.text[:0], o.cells[:0], "", "", ""
	if known := len(o.columns.spelled); known < len(o.keys) {
		for _, key := range o.fresh {
			delete(o.index, key)
		}
		o.keys, o.values, o.filled = o.keys[:known], o.values[:known], o.filled[:known]
	}
	o.fresh = o.fresh[:0]
}

// object takes apart an object that the decoder has found to be sound. Reading it as a whole and looking for its members
// afterwards takes half the time of reading each by itself.
func (o *objectReader) object(text []byte) error {
	for rest := skipBlanks(text[1:]); rest[0] != '}'; {
		var key, value []byte
		key, rest = cutValue(rest)
		value, rest = cutValue(skipBlanks(rest[1:])) // after the colon
		if err := o.member(key, value); err != nil {
			return err
		}
		if rest[0] == ',' {
			rest = skipBlanks(rest[1:])
		}
	}
	return nil
}

// member takes a key and its value.
func (o *objectReader) member(key []byte, value jsontext.Value) error {
	column, err := o.lookup(key)
	if err != nil {
		return err
	}
	from, kind := len(o.text), value.Kind()
	if err := o.append(kind, value); err != nil {
		return err
	}
	o.cells = append(o.cells, jsonCell{column, from, len(o.text)})
	if o.filled[column] == o.row {
		o.blame(column, "the key appears twice in one object")
	}
	o.filled[column] = o.row
	if kind == '{' || kind == '[' {
		if r := o.roleOf(column); r != other && r != onboardingRole {
			o.blame(column, "a text is needed, not "+kindName(kind))
		}
	}
	return nil
}

// append adds a value to the text of the row: strings as they read, null as nothing, all else as compact JSON.
func (o *objectReader) append(kind jsontext.Kind, value jsontext.Value) (err error) {
	switch kind {
	case 'n':
	case '"':
		if bytes.IndexByte(value, '\\') < 0 {
			o.text = append(o.text, value[1:len(value)-1]...)
			break
		}
		o.text, err = jsontext.AppendUnquote(o.text, value)
	case '{', '[':
		nested := value.Clone()
		err = nested.Compact(jsontext.AllowDuplicateNames(true))
		o.text = append(o.text, nested...)
	default:
		o.text = append(o.text, value...)
	}
	return err
}

// lookup returns the column of a quoted key. Rows of one list mostly have the same keys in the same order.
func (o *objectReader) lookup(quotedKey []byte) (int, error) {
	if next := len(o.cells); next < len(o.keys) && bytes.Equal(o.keys[next], quotedKey) {
		return next, nil
	}
	key, err := jsontext.AppendUnquote(nil, quotedKey)
	if err != nil {
		return 0, err
	}
	if column, known := o.index[string(key)]; known {
		return column, nil
	}
	if len(o.keys) >= MaxColumns {
		return 0, tooManyColumns(0)
	}
	o.fresh = append(o.fresh, string(key))
	o.index[string(key)] = len(o.keys)
	o.keys = append(o.keys, bytes.Clone(quotedKey))
	o.values, o.filled = append(o.values, ""), append(o.filled, 0)
	return len(o.keys) - 1, nil
}

// roleOf returns the role of a column, as far as its key tells before the whole row is known.
func (o *objectReader) roleOf(column int) role {
	spelled := o.columns.spelled
	if column < len(spelled) {
		return role(max(0, slices.Index(o.columns.byRole[:], column)))
	}
	return roleNames[normalise(o.fresh[column-len(spelled)])]
}

func (o *objectReader) blame(column int, fault string) {
	if o.fault != "" {
		return
	}
	o.fault = fault
	if spelled := o.columns.spelled; column < len(spelled) {
		o.column = spelled[column]
	} else {
		o.column = o.fresh[column-len(spelled)]
	}
}

// add hands the row on that was read.
func (o *objectReader) add() error {
	if len(o.fresh) > 0 {
		if err := o.columns.add(o.line, o.fresh); err != nil {
			return err
		}
	}
	at := row{line: o.line, column: o.columns.spelling(idRole)}
	if o.numbered {
		at.element = o.row
	}
	switch {
	case o.fault != "":
		at.fault, at.column = o.fault, o.column
		o.feed.put(at, record{}, 0)
	case o.id != "":
		o.feed.put(at, record{ID: o.id}, len(o.id))
	default:
		o.addObject(at)
	}
	return nil
}

func (o *objectReader) addObject(at row) {
	clear(o.values)
	text := string(o.text)
	for _, cell := range o.cells {
		o.values[cell.column] = text[cell.from:cell.to]
	}
	for column, place := range o.columns.place {
		if place >= 0 {
			o.feed.carried = append(o.feed.carried, o.values[column])
		}
	}
	at.aad, at.onboarding = o.value(aadRole), o.value(onboardingRole)
	o.feed.put(at, record{ID: o.value(idRole), Name: o.value(nameRole), Comment: o.value(commentRole)}, len(text))
}

// value returns the row's value in the column of a role.
func (o *objectReader) value(r role) string {
	if column := o.columns.byRole[r]; column >= 0 {
		return o.values[column]
	}
	return ""
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 'n':
		return "null"
	case '0':
		return "a number"
	default:
		return "true or false"
	}
}

// jsonError explains what the decoder found.
func jsonError(err error, line int) *Error {
	e := &Error{Line: line, Reason: "is not valid JSON: " + err.Error(), Err: fmt.Errorf("%w: %w", ErrFormat, err)}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		e.Reason = "is not valid JSON: " + syntax.Err.Error()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		e.Reason, e.Hint = "the JSON is cut short", "export the list again"
	}
	return e
}
