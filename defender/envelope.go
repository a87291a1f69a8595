package defender

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// longestWords bounds what is kept of a server's free text, in bytes.
const longestWords = 1000

// envelope is the service's error object: {"error":{"code","message","target"}}.
// The OData layer sends an empty code and no target.
type envelope struct {
	found                 bool
	code, message, target string
}

func parseEnvelope(body []byte) envelope {
	outer, err := parseObject(body)
	if err != nil {
		return envelope{}
	}
	inner, err := parseObject(outer["error"])
	if err != nil {
		return envelope{}
	}
	var code string
	if json.Unmarshal(inner["code"], &code) != nil {
		return envelope{}
	}
	return envelope{
		found:   true,
		code:    code,
		message: inner.text("message"),
		target:  inner.text("target"),
	}
}

// words makes a server's free text fit for an error: one line, bounded, no
// control characters.
func words(s string) string {
	if len(s) > longestWords {
		s = s[:longestWords]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}

var (
	waitInWords   = regexp.MustCompile(`again in (\d+) second`)
	periodInWords = regexp.MustCompile(`per (\d\d):(\d\d):(\d\d)`)
)

// longestWait keeps a wait within what a time.Duration can hold with room to
// calculate. Callers cap it far below.
const longestWait = 10 * 365 * 24 * time.Hour

// retryAfter returns the wait that an answer asks for: by its Retry-After header
// in seconds or as a date, else in the words of its message. 0 means that it
// does not ask, or asks for nothing sensible.
func retryAfter(h http.Header, message string, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if wait := seconds(value); wait > 0 {
		return wait
	}
	if at, err := http.ParseTime(value); err == nil {
		// The server's date is measured by the server's clock.
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			now = date
		}
		if wait := at.Sub(now); wait > 0 {
			return min(wait, longestWait)
		}
	}
	if found := waitInWords.FindStringSubmatch(message); found != nil {
		return seconds(found[1])
	}
	return 0
}

func seconds(s string) time.Duration {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > int64(longestWait/time.Second) {
		return longestWait // digits only: too many of them
	}
	return time.Duration(n) * time.Second
}

// period returns the window that a 429 names, "per 00:01:00" or "per 01:00:00".
func period(message string) time.Duration {
	found := periodInWords.FindStringSubmatch(message)
	if found == nil {
		return 0
	}
	return 60*seconds(found[1])*60 + 60*seconds(found[2]) + seconds(found[3])
}
