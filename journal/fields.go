package journal

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// A stored field is a byte that names it, its length as a uvarint, and so many bytes.
// What each byte means is part of the file's schema.

func appendField[T string | []byte](b []byte, name byte, value T) []byte {
	b = binary.AppendUvarint(append(b, name), uint64(len(value)))
	return append(b, value...)
}

// appendOptional leaves out an empty field.
func appendOptional[T string | []byte](b []byte, name byte, value T) []byte {
	if len(value) == 0 {
		return b
	}
	return appendField(b, name, value)
}

func appendNumber(b []byte, name byte, n uint64) []byte {
	var digits [binary.MaxVarintLen64]byte
	return appendField(b, name, digits[:binary.PutUvarint(digits[:], n)])
}

// number reads what appendNumber wrote; 0 from anything else.
func number(value []byte) uint64 {
	n, _ := binary.Uvarint(value)
	return n
}

// fields yields the fields of b by name, in memory of b. One that is cut short is
// named 0, which no field is.
func fields(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(b) > 0 {
			name := b[0]
			n, size := binary.Uvarint(b[1:])
			rest := b[1+max(size, 0):]
			if size <= 0 || n > uint64(len(rest)) {
				yield(0, nil)
				return
			}
			if !yield(name, rest[:n]) {
				return
			}
			b = rest[n:]
		}
	}
}

func unknownField(name byte) error {
	return fmt.Errorf("no field is named %d", name)
}
