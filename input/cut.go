package input

import "bytes"

// cutValue cuts JSON that is known to be sound after the value that it begins with, and drops the blanks behind it. The
// value must not be all there is.
func cutValue(text []byte) (value, rest []byte) {
	var end int
	switch text[0] {
	case '"':
		end = stringLength(text)
	case '{', '[':
		end = containerLength(text)
	default:
		end = bytes.IndexAny(text, ",]} \t\r\n")
	}
	return text[:end], skipBlanks(text[end:])
}

// containerLength returns the length of the object or array at the beginning of sound JSON.
func containerLength(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += stringLength(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// stringLength returns the length of the string at the beginning of sound JSON, with its quotes.
func stringLength(text []byte) int {
	for end := 1; ; end++ {
		end += bytes.IndexByte(text[end:], '"')
		if text[end-1] != '\\' || (end-len(bytes.TrimRight(text[:end], `\`)))%2 == 0 {
			return end + 1
		}
	}
}

func skipBlanks(text []byte) []byte {
	for i, c := range text {
		if c > ' ' {
			return text[i:]
		}
	}
	return nil
}
