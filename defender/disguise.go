package defender

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// shortestDisguise is the length from which an encoded secret is looked for: what
// is left of a short one could be part of any word.
const shortestDisguise = 8

// disguises returns the secret and what it looks like to somebody who has encoded
// it: in a query or a path, in a quoted text, in hexadecimal, in base64.
func disguises(secret string) []string {
	quoted := strconv.Quote(secret)
	digits := hex.EncodeToString([]byte(secret))
	all := []string{
		url.QueryEscape(secret), url.PathEscape(secret), quoted[1 : len(quoted)-1], digits, strings.ToUpper(digits),
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			all = append(all, within(encoding, secret, before))
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < shortestDisguise })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // the longer one may hold the shorter
	return slices.Compact(append([]string{secret}, all...))
}

// within returns the digits that a secret has in base64 whatever surrounds it,
// such as a user's name and a colon, when before bytes of a group precede it.
func within(encoding *base64.Encoding, secret string, before int) string {
	text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	first := (before*8 + 5) / 6
	end := (before + len(secret)) * 8 / 6
	return text[min(first, end):end]
}
