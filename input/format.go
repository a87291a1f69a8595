package input

import (
	"fmt"
	"strings"
)

// Format is the shape of a list's text.
type Format int

const (
	// Auto recognises the format from the first 64 KiB.
	Auto Format = iota
	// CSV is comma, semicolon or tab separated text with a header line.
	CSV
	// JSON is an array of objects (or of ids), an OData reply {"value":[…]}, an advanced-hunting reply {"Results":[…]},
	// or several such values one after the other.
	JSON
	// NDJSON is one JSON object a line.
	NDJSON
	// Plain is one machine id a line; blank lines and lines that begin with # are passed over.
	Plain
)

var formatNames = [...]string{Auto: "auto", CSV: "csv", JSON: "json", NDJSON: "ndjson", Plain: "plain"}

// String returns the name that ParseFormat takes.
func (f Format) String() string {
	if f < 0 || int(f) >= len(formatNames) {
		return fmt.Sprintf("Format(%d)", int(f))
	}
	return formatNames[f]
}

// ParseFormat takes auto, csv, json, ndjson or plain in any case, and "" for auto. Its error wraps ErrFormat.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return Auto, nil
	}
	for f, n := range formatNames {
		if strings.EqualFold(n, name) {
			return Format(f), nil
		}
	}
	return Auto, &Error{
		Reason: fmt.Sprintf("%q is no list format", name),
		Hint:   "use one of " + strings.Join(formatNames[:], ", "),
		Err:    ErrFormat,
	}
}
