package defender

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const spaced = "a secret/with \"quotes\" & more"

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no secret here":                                        "no secret here",
		"the " + canary + " twice " + canary:                    "the [redacted] twice [redacted]",
		"Authorization: Bearer abc.def":                         "Authorization: [redacted]",
		"token eyJhbGciOi.eyJ0aWQi.sig_-1 is bad":               "token [redacted] is bad",
		"cut short: eyJhbGciOiJSUzI1":                           "cut short: [redacted]",
		"client_secret=s3cr3t&scope=x":                          "[redacted]&scope=x",
		`{"refresh_token": "0.AX", "error":"x"}`:                `{"[redacted]", "error":"x"}`,
		"Proxy-Authorization: Basic dXNlcjpwYXNz":               "Proxy-[redacted]",
		"via http://user:pass@proxy:8080/":                      "via http:[redacted]proxy:8080/",
		"mail me@example.com":                                   "mail me@example.com",
		"q=" + url.QueryEscape(spaced):                          "q=[redacted]",
		fmt.Sprintf("%x %X", canary, spaced):                    "[redacted] [redacted]",
		fmt.Sprintf("%q", spaced):                               `"[redacted]"`,
		base64.StdEncoding.EncodeToString([]byte(canary + "!")): "[redacted]4h",
		"the bearer of bad news":                                "the [redacted] bad news",
		"AADSTS7000215: Invalid client secret provided":         "AADSTS7000215: Invalid client secret provided",
	} {
		if got := redact(text, canary, spaced, ""); got != want {
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

// TestRedactFindsASecretWithinBase64: whatever precedes and follows it.
func TestRedactFindsASecretWithinBase64(t *testing.T) {
	t.Parallel()
	for before := range 6 {
		for after := range 4 {
			text := strings.Repeat("u", before) + canary + strings.Repeat("v", after)
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
				got := redact(encoding.EncodeToString([]byte(text)), canary)
				if left := len(got) - len(redaction); left < 0 || left > 4*(before+after+2) || !strings.Contains(got, redaction) {
					t.Errorf("%q became %q", text, got)
				}
			}
		}
	}
}
