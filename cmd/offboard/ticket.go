package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTicket bounds --ticket in bytes: it goes with every request.
const maxTicket = 100

func validateTicket(ticket string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
	if len(ticket) > maxTicket || !utf8.ValidString(ticket) || strings.ContainsFunc(ticket, bad) {
		return usageError("--ticket %q is not up to %d bytes of printable text without spaces", ticket, maxTicket)
	}
	return nil
}

// ticketed is a comment that names the ticket. A machine without a comment of
// its own stays without one: it is sent with the campaign's.
func ticketed(comment, ticket string) string {
	if comment == "" || strings.Contains(comment, ticket) {
		return comment
	}
	return ticket + " " + comment
}

// fixedTicket is the campaign's ticket, which a later run may repeat and not
// change: the comments that were sent name it, or none.
func fixedTicket(begun, now string) (string, error) {
	if now == "" || now == begun {
		return begun, nil
	}
	if begun == "" {
		return "", usageError("the campaign was begun without --ticket; give --campaign another name for another ticket")
	}
	return "", usageError("the campaign was begun with --ticket %s, which stays; give --campaign another name for another ticket", begun)
}
