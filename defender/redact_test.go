package defender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no secret here":                                "no secret here",
		"the " + canary + " twice " + canary:            "the [redacted] twice [redacted]",
		"Authorization: Bearer abc.def":                 "Authorization: [redacted]",
		"token eyJhbGciOi.eyJ0aWQi.sig_-1 is bad":       "token [redacted] is bad",
		"cut short: eyJhbGciOiJSUzI1":                   "cut short: [redacted]",
		"client_secret=s3cr3t&scope=x":                  "[redacted]&scope=x",
		`{"refresh_token": "0.AX", "error":"x"}`:        `{"[redacted]", "error":"x"}`,
		"the bearer of bad news":                        "the [redacted] bad news",
		"AADSTS7000215: Invalid client secret provided": "AADSTS7000215: Invalid client secret provided",
	} {
		if got := redact(text, canary, ""); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", text, got, want)
		}
	}
}

func TestCauseHidesTheOriginal(t *testing.T) {
	t.Parallel()
	err := safely(fmt.Errorf("with %s: %w", canary, context.Canceled), canary)
	if !errors.Is(err, context.Canceled) || errors.Unwrap(err) != nil || strings.Contains(err.Error(), canary) {
		t.Errorf("%v", err)
	}
}
