package input

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// document is a JSON text that holds rows.
type document struct {
	src  *source
	dec  *jsontext.Decoder
	rows *objectReader
}

// readJSON reads arrays, replies or objects, one or several after the other, and holds one row of them at a time.
func readJSON(src *source, columns *columns, f *feed, shape layout) error {
	d := &document{src: src, rows: newObjectReader(columns, f)}
	d.rows.numbered = true
	d.dec = jsontext.NewDecoder(src.text, jsontext.AllowDuplicateNames(true))
	for {
		d.begin()
		var err error
		switch kind := d.dec.PeekKind(); {
		case kind == '[':
			err = d.array()
		case kind == '{' && shape == objects:
			err = d.row()
		case kind == '{':
			err = d.reply()
		default:
			if _, err = d.dec.ReadToken(); errors.Is(err, io.EOF) && src.because(nil) == nil {
				return nil
			}
			if err == nil {
				return d.refuse("a list begins with [ or {")
			}
		}
		if err != nil {
			return d.damaged(err)
		}
	}
}

// array reads the rows of an array.
func (d *document) array() error {
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	for {
		d.begin()
		switch d.dec.PeekKind() {
		case ']':
			_, err := d.dec.ReadToken()
			return err
		default:
			if err := d.row(); err != nil {
				return err
			}
		}
	}
}

// row reads one row.
func (d *document) row() error {
	err := d.rows.read(d.dec, d.src.lineAt)
	if err != nil {
		return err
	}
	return d.rows.add()
}

// reply reads an object of which one array holds the rows; the other keys (@odata.context, Schema, Stats) tell nothing
// of machines.
func (d *document) reply() error {
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	found := ""
	for {
		d.begin()
		name, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		if name.Kind() == '}' {
			break
		}
		key := name.String()
		switch {
		case !isContainer(key) || d.dec.PeekKind() != '[':
			err = d.dec.SkipValue()
		case found != "":
			return d.refuse(fmt.Sprintf("the reply holds two lists, %s and %s", quoted(found), quoted(key)))
		default:
			found = key
			err = d.array()
		}
		if err != nil {
			return err
		}
	}
	if found == "" {
		return d.refuse(`the object holds no list: "value" (OData) or "Results" (advanced hunting) is needed`)
	}
	return nil
}

// begin tells the guard that a row begins, or anything else that is read as a whole.
func (d *document) begin() { d.src.begin(d.dec.InputOffset()) }

func (d *document) refuse(reason string) error {
	return &Error{Line: d.src.lineAt(d.dec.InputOffset()), Reason: reason, Err: ErrFormat}
}

// damaged explains an error of the decoder. Unlike a bad row it ends the reading: nothing tells where the next row is.
func (d *document) damaged(err error) error {
	if unread := d.src.because(nil); unread != nil {
		return unread
	}
	offset := d.dec.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
	}
	line := d.src.lineAt(offset)
	var ours *Error
	if errors.As(err, &ours) {
		ours.Line = cmp.Or(ours.Line, line)
		return ours
	}
	return jsonError(err, line)
}
