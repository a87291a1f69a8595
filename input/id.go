package input

import (
	"fmt"
	"strings"
)

// idLength is the number of hexadecimal digits of a Defender machine id. Every real or documented one is 40 digits
// long; Microsoft's pages say no more than "generally" 40 characters.
const idLength = 40

type idKey [idLength / 2]byte

// parseID returns the id in lower case and as a key; reason says why it is none.
func parseID(s string) (key idKey, id, reason string) {
	if len(s) == idLength {
		if key, ok, upper := decodeID(s); ok && upper {
			return key, strings.ToLower(s), ""
		} else if ok {
			return key, s, ""
		}
		return key, "", fmt.Sprintf("%s holds characters other than hexadecimal digits", quoted(s))
	}
	if isGUID(s) {
		return key, "", fmt.Sprintf("%s looks like an Entra device id (a GUID); a Defender machine id is 40 hexadecimal digits", quoted(s))
	}
	return key, "", fmt.Sprintf("%s is no machine id: 40 hexadecimal digits are needed", quoted(s))
}

// decodeID decodes s, which is as long as an id, and says whether it holds upper-case digits: encoding/hex does not
// tell, and lower-casing every id that is lower-case already costs as much as decoding it.
func decodeID(s string) (key idKey, ok, upper bool) {
	var all byte
	for i := range key {
		high, low := hexDigits[s[2*i]], hexDigits[s[2*i+1]]
		key[i] = high<<4 | low&0x0f
		all |= high | low
	}
	return key, all&notHex == 0, all&upperCase != 0
}

// What hexDigits says of a byte besides its value.
const (
	upperCase = 0x40
	notHex    = 0x80
)

// hexDigits holds the value of every byte as a hexadecimal digit.
var hexDigits = func() (digits [256]byte) {
	for b := range digits {
		switch c := byte(b); {
		case '0' <= c && c <= '9':
			digits[b] = c - '0'
		case 'a' <= c && c <= 'f':
			digits[b] = c - 'a' + 10
		case 'A' <= c && c <= 'F':
			digits[b] = c - 'A' + 10 | upperCase
		default:
			digits[b] = notHex
		}
	}
	return digits
}()

// isGUID takes a GUID with or without braces.
func isGUID(s string) bool {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return false
		}
	}
	return true
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// looksLikeID says that a line of text is meant as an id, be it a wrong one.
func looksLikeID(s string) bool {
	return len(s) >= idLength/2 && (isGUID(s) || strings.Trim(s, "0123456789abcdefABCDEF") == "")
}
