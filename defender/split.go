package defender

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// What is in this file looks at JSON that is known to be valid, and only has to
// find where its parts end.

const jsonSpace = " \t\r\n"

// after returns what follows the white space at the beginning of data and, where
// it comes next, the separator.
func after(data []byte, separator byte) []byte {
	data = bytes.TrimLeft(data, jsonSpace)
	if len(data) > 0 && data[0] == separator {
		data = bytes.TrimLeft(data[1:], jsonSpace)
	}
	return data
}

// valueEnd returns the length of the value that data begins with.
func valueEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += stringEnd(data[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth == 0 {
				return literalEnd(data)
			}
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(data)
}

// stringEnd returns the length of the string that data begins with, quotes included.
func stringEnd(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// literalEnd returns the length of the number, truth value or null.
func literalEnd(data []byte) int {
	if end := bytes.IndexAny(data, ",]}"+jsonSpace); end >= 0 {
		return end
	}
	return len(data)
}

// stringOf returns what a JSON string says.
func stringOf(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // it is valid
	return s
}
