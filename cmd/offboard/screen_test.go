package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHarmless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"häuser 東京 €\n\tx":        "häuser 東京 €\n\tx",
		"\x1b]0;owned\x07":        `\u001b]0;owned\u0007`,
		"a\rb\x7f\u009b31m":       `a\u000db\u007f\u009b31m`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"\u2028line\ufeff\u200b":  `\u2028line\ufeff\u200b`,
		"tag \U000e0001":          `tag \udb40\udc01`,
		"8-bit \x9b31m, cut \xe2": "8-bit \ufffd31m, cut \ufffd",
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// FuzzScreen: however a text is cut into writes, what arrives is the text without
// what a terminal obeys, and JSON means the same as before.
func FuzzScreen(f *testing.F) {
	f.Add("a\x1b[2Jb", 2)
	f.Add("\u202e€", 1)
	f.Add("\U000e0001\xff\xc3", 3)
	f.Fuzz(func(t *testing.T, text string, step int) {
		var out bytes.Buffer
		s := &screen{w: &out}
		for rest := []byte(text); len(rest) > 0; {
			n := min(len(rest), max(1, step%7))
			if wrote, err := s.Write(rest[:n]); wrote != n || err != nil {
				t.Fatalf("%d, %v", wrote, err)
			}
			rest = rest[n:]
		}
		if got := out.String(); !utf8.ValidString(got) || strings.ContainsFunc(got, obeyed) {
			t.Errorf("%q became %q", text, got)
		} else if utf8.ValidString(text) && got != harmless(text) {
			t.Errorf("%q became %q in pieces, %q at once", text, got, harmless(text))
		}
		sameJSON(t, strings.ToValidUTF8(text, ""))
	})
}

func sameJSON(t *testing.T, text string) {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var decoded string
	if err := json.Unmarshal([]byte(harmless(string(encoded))), &decoded); err != nil || decoded != text {
		t.Errorf("%q came back as %q, %v", text, decoded, err)
	}
}
