package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// details are what only the display of a single machine, a report or the next
// attempt needs.
type details struct {
	Name     string
	Comment  string
	Columns  int // which of the campaign's column sets Carried follows
	Carried  []string
	ActionID string
	Prior    []string
	Failure  *Failure
	Reason   string
	// Word is why the machine was last authorised to be sent again; Past are actions
	// that were over then, which are neither adopted nor settle an attempt.
	Word     string
	Past     []string
	Leaving  string // why a machine sending or in doubt is to be excluded, should it not be sent
	Sent     time.Time
	Answered time.Time
	Cancel   *Cancellation
}

// The fields of details. Those that may come several times are the elements of a
// list in their order.
const (
	fieldName byte = iota + 1
	fieldComment
	fieldColumns
	fieldCarried // several
	fieldActionID
	fieldActionPlace // of the id in the action as received, which has it nearly always
	fieldPrior       // several
	fieldFailure     // JSON
	fieldReason
	fieldWord
	fieldPast // several
	fieldLeaving
	fieldSent     // nanoseconds since 1970, in eight bytes
	fieldAnswered // the same
	fieldCancel   // JSON
)

func appendDetails(b []byte, d *details, action []byte) ([]byte, error) {
	b = appendOptional(b, fieldName, d.Name)
	b = appendOptional(b, fieldComment, d.Comment)
	if d.Columns != 0 {
		b = appendNumber(b, fieldColumns, uint64(d.Columns)) //nolint:gosec // a place in a list
	}
	b = appendList(b, fieldCarried, d.Carried)
	if at := bytes.Index(action, []byte(d.ActionID)); at > 0 && d.ActionID != "" {
		place := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(at)), uint64(len(d.ActionID)))
		b = appendField(b, fieldActionPlace, place)
	} else {
		b = appendOptional(b, fieldActionID, d.ActionID)
	}
	b = appendList(b, fieldPrior, d.Prior)
	b = appendOptional(b, fieldReason, d.Reason)
	b = appendOptional(b, fieldWord, d.Word)
	b = appendList(b, fieldPast, d.Past)
	b = appendOptional(b, fieldLeaving, d.Leaving)
	b = appendTime(b, fieldSent, d.Sent)
	b = appendTime(b, fieldAnswered, d.Answered)
	b, err := appendJSON(b, fieldFailure, d.Failure)
	if err != nil {
		return nil, err
	}
	return appendJSON(b, fieldCancel, d.Cancel)
}

func appendList(b []byte, name byte, list []string) []byte {
	for _, s := range list {
		b = appendField(b, name, s)
	}
	return b
}

func appendTime(b []byte, name byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendField(b, name, binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())))
}

func appendJSON[T any](b []byte, name byte, value *T) ([]byte, error) {
	if value == nil {
		return b, nil
	}
	body, err := json.Marshal(value)
	return appendField(b, name, body), err
}

// readDetails reads what appendDetails wrote into memory of its own.
func readDetails(b, action []byte) (d details, err error) {
	for name, value := range fields(b) {
		if err = d.take(name, value, action); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *details) take(name byte, value, action []byte) (err error) {
	switch name {
	case fieldName:
		d.Name = string(value)
	case fieldComment:
		d.Comment = string(value)
	case fieldColumns:
		d.Columns = int(number(value) & 0x7fffffff)
	case fieldCarried:
		d.Carried = append(d.Carried, string(value))
	case fieldActionID:
		d.ActionID = string(value)
	case fieldActionPlace:
		d.ActionID, err = placed(value, action)
	case fieldPrior:
		d.Prior = append(d.Prior, string(value))
	case fieldFailure:
		d.Failure = &Failure{}
		err = json.Unmarshal(value, d.Failure)
	case fieldReason:
		d.Reason = string(value)
	case fieldWord:
		d.Word = string(value)
	case fieldPast:
		d.Past = append(d.Past, string(value))
	case fieldLeaving:
		d.Leaving = string(value)
	case fieldSent:
		d.Sent, err = timeOf(value)
	case fieldAnswered:
		d.Answered, err = timeOf(value)
	case fieldCancel:
		d.Cancel = &Cancellation{}
		err = json.Unmarshal(value, d.Cancel)
	default:
		err = unknownField(name)
	}
	return err
}

// placed returns the part of the action that a place names.
func placed(place, action []byte) (string, error) {
	at, size := binary.Uvarint(place)
	if size > 0 {
		n := number(place[size:])
		if end := at + n; end >= at && end <= uint64(len(action)) {
			return string(action[at:end]), nil
		}
	}
	return "", errors.New("a place outside of the action")
}

func timeOf(value []byte) (time.Time, error) {
	if len(value) != 8 {
		return time.Time{}, fmt.Errorf("a time of %d bytes", len(value))
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(value))).UTC(), nil //nolint:gosec // undoes appendTime
}
