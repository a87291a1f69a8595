package defender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var errNotAnObject = errors.New("not a JSON object")

// object is a JSON object by lower-cased key: the documentation and the wire do
// not agree on the case of all of them. What a field holds is looked at only
// when somebody asks, so that a change in a field nobody needs, or null where
// there was a string, never makes an answer unreadable.
//
// A key that is given several times with different values, whatever their case,
// holds nothing: readers differ in which one they take, and by the wrong one
// another machine's action would pass for ours.
type object map[string]json.RawMessage

func parseObject(data []byte) (object, error) {
	data = bytes.Trim(data, jsonSpace)
	if len(data) == 0 || data[0] != '{' {
		return nil, errNotAnObject
	}
	if !json.Valid(data) {
		var whole json.RawMessage
		return nil, fmt.Errorf("%w: %w", errNotAnObject, json.Unmarshal(data, &whole)) // which says where
	}
	o := make(object, 32)
	for rest := after(data[1:], ','); rest[0] != '}'; rest = after(rest, ',') {
		n := valueEnd(rest)
		key := stringOf(rest[:n])
		rest = after(rest[n:], ':')
		n = valueEnd(rest)
		o.add(strings.ToLower(key), rest[:n:n])
		rest = rest[n:]
	}
	return o, nil
}

func (o object) add(key string, value json.RawMessage) {
	if held, again := o[key]; again && !bytes.Equal(held, value) {
		value = nil
	}
	o[key] = value
}

// text returns a string, or a number or truth value as it is spelled.
func (o object) text(key string) string {
	raw := o[key]
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		return stringOf(raw)
	case 'n', '{', '[':
	default:
		return string(raw)
	}
	return ""
}

// texts returns the strings of an array, or one string as the only one.
func (o object) texts(key string) []string {
	var items []json.RawMessage
	if json.Unmarshal(o[key], &items) != nil {
		if s := o.text(key); s != "" {
			return []string{s}
		}
		return nil
	}
	var all []string
	for _, item := range items {
		if s := (object{key: item}).text(key); s != "" {
			all = append(all, s)
		}
	}
	return all
}

func (o object) truth(key string) bool {
	truth, err := strconv.ParseBool(strings.ToLower(o.text(key)))
	return err == nil && truth
}

func (o object) integer(key string) int64 {
	n, err := strconv.ParseInt(o.text(key), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// time returns a time in UTC. Dates of the year 1 stand for "never" and are the
// zero time, as is whatever cannot be read.
func (o object) time(key string) time.Time {
	s := o.text(key)
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02Z", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// rows returns the elements of a list. A list without its "value" is no list: to
// take it for an empty one would be to believe that something is absent.
func rows(body []byte) ([]json.RawMessage, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	value := bytes.TrimSpace(o["value"])
	if len(value) == 0 || value[0] != '[' {
		return nil, errors.New(`the list has no array "value"`)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, err
	}
	return items, nil
}
