package input

import (
	"encoding/csv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestNeutralise(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"": "", "pc-001": "pc-001", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\ta": "'\ta", "\ra": "'\ra",
		"  =1": "'  =1", "\n=1": "'\n'=1", "\u00a0=1": "'\u00a0=1", "＝1": "'＝1", "a=1": "a=1",
		"\u2003=1": "'\u2003=1", "x;=1": "x;'=1", "x; \t@1": "x;' \t'@1", "x\n-1": "x\n'-1", "a, -1": "a, -1", "1-2": "1-2", "\n;=": "'\n;'=",
	} {
		if got := neutralise(cell); got != want {
			t.Errorf("%q: got %q, want %q", cell, got, want)
		}
	}
}

// FuzzRejects: no cell of the rejects file begins like a formula, and it stays one row a bad row.
func FuzzRejects(f *testing.F) {
	f.Add("=a", "\t=b", "\r\n+c")
	f.Add("", " -", "@")
	f.Fuzz(func(t *testing.T, file, column, reason string) {
		var b strings.Builder
		r := newRejects(file, &b)
		r.add(2, column, reason)
		if err := r.flush(); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, cell := range rows[1] {
			for _, part := range strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(";\t\r\n", r) }) {
				if text := strings.TrimSpace(part); text != "" && strings.IndexByte("=+-@", text[0]) >= 0 {
					t.Errorf("cell %q has a part like a formula", cell)
				}
			}
			if strings.ContainsFunc(cell, func(r rune) bool { return !unicode.IsPrint(r) && r != utf8.RuneError }) {
				t.Errorf("cell %q holds what a terminal would obey", cell)
			}
		}
	})
}

// FuzzID: what is taken for an id is safe in a path and in a filter.
func FuzzID(f *testing.F) {
	for _, seed := range []string{strings.Repeat("aB", 20), strings.Repeat("g", 40), "../", "%2f", "'", "{1f0e3dad-9990-4b2c-8d6a-0c7f5a9b1e01}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, id, reason := parseID(s)
		switch {
		case (id == "") == (reason == ""):
			t.Errorf("%q: id %q and reason %q", s, id, reason)
		case id != "" && (len(id) != 40 || strings.Trim(id, "0123456789abcdef") != "" || !strings.EqualFold(id, s)):
			t.Errorf("%q became %q", s, id)
		}
	})
}

func TestFormatNames(t *testing.T) {
	t.Parallel()
	for f := Auto; f <= Plain; f++ {
		if got, err := ParseFormat(strings.ToUpper(f.String())); got != f || err != nil {
			t.Errorf("%v: got %v, %v", f, got, err)
		}
	}
	if got := Format(9).String(); got != "Format(9)" {
		t.Errorf("got %s", got)
	}
}
