package defender

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name, header, date, message string
		want                        time.Duration
	}{
		{"seconds", "17", "", "", 17 * time.Second},
		{"spaces around", " 17 ", "", "", 17 * time.Second},
		{"a day", "86400", "", "", 24 * time.Hour},
		{"header before message", "17", "", "again in 8 seconds", 17 * time.Second},
		{"missing", "", "", "", 0},
		{"zero, so the message", "0", "", "You can send requests again in 8 seconds.", 8 * time.Second},
		{"negative, so the message", "-5", "", "again in 1 second", time.Second},
		{"rubbish", "soon", "", "", 0},
		{"a fraction is not a number of seconds", "1.5", "", "", 0},
		{"too many digits", strings.Repeat("9", 40), "", "", longestWait},
		{"too long", "9999999999", "", "", longestWait},
		{"date by our clock", "Fri, 01 May 2026 12:00:30 GMT", "", "", 30 * time.Second},
		{"date by the server's clock", "Fri, 01 May 2026 12:00:30 GMT", "Fri, 01 May 2026 12:00:20 GMT", "", 10 * time.Second},
		{"date in the past, so the message", "Fri, 01 May 2026 11:00:00 GMT", "", "again in 8 seconds", 8 * time.Second},
		{"date far away", "Fri, 01 May 2226 11:00:00 GMT", "", "", longestWait},
	} {
		h := http.Header{"Retry-After": {row.header}}
		if row.date != "" {
			h.Set("Date", row.date)
		}
		if got := retryAfter(h, row.message, now); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]time.Duration{
		"API calls quota exceeded! maximum allowed 45 per 00:01:00":    time.Minute,
		"API calls quota exceeded! maximum allowed 1500 per 01:00:00.": time.Hour,
		"per 01:02:03": time.Hour + 2*time.Minute + 3*time.Second,
		"per minute":   0,
		"":             0,
	} {
		if got := period(message); got != want {
			t.Errorf("%q: %v, want %v", message, got, want)
		}
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]envelope{
		notFoundBody: {true, "ResourceNotFound", "Machine 1e5bc9d7e413ddd7902c2932e418702b84d0cc07 was not found", "|7a-1."},
		odataBody:    {true, "", "The query specified in the URI is not valid.", ""},
		`{"error":{"code":"X","message":7,"target":null}}`: {true, "X", "7", ""},
		`{"error":{"message":"no code"}}`:                  {},
		`{"error":{"code":404}}`:                           {},
		`{"error":"text"}`:                                 {},
		`{"error":null}`:                                   {},
		`<html>`:                                           {},
		``:                                                 {},
	} {
		if got := parseEnvelope([]byte(body)); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	if got := words("a\x1b]0;x\x07\n\tb\xff \u202ec"); got != "a ]0;x b c" {
		t.Errorf("got %q", got)
	}
	if got := words(strings.Repeat("é", 5000)); len(got) > longestWords {
		t.Errorf("%d bytes are kept", len(got))
	}
}
