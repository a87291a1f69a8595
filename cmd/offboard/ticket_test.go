package main

import (
	"strings"
	"testing"
)

func TestTicketed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ comment, ticket, want string }{
		{"retired", "", "retired"},
		{"retired", "CHG-1", "CHG-1 retired"},
		{"CHG-1 retired", "CHG-1", "CHG-1 retired"},
		{"retired by CHG-1", "CHG-1", "retired by CHG-1"},
		{"", "CHG-1", ""}, // nobody has said why
	} {
		if got := ticketed(c.comment, c.ticket); got != c.want {
			t.Errorf("ticketed(%q, %q) = %q; want %q", c.comment, c.ticket, got, c.want)
		}
	}
}

func TestTicketsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, ticket := range []string{"CHG 1", "CHG\n1", "CHG\x1b", "\xff", strings.Repeat("x", maxTicket+1)} {
		if code := codeOf(validateTicket(ticket)); code != exitUsage {
			t.Errorf("%q: exit code %d; want %d", ticket, code, exitUsage)
		}
	}
	for _, ticket := range []string{"", "CHG-1", "ærend-7", strings.Repeat("x", maxTicket)} {
		if err := validateTicket(ticket); err != nil {
			t.Errorf("%q: %v", ticket, err)
		}
	}
}
