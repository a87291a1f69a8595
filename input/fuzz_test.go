package input_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"offboard/input"
)

var validID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkList checks what every list promises.
func checkList(t *testing.T, l *input.List) {
	t.Helper()
	sum := l.Machines.Len() + len(l.Unresolved) + len(l.NotOnboarded) + l.Duplicates + l.BadRows
	if sum != l.Rows {
		t.Errorf("%d rows are accounted for of %d", sum, l.Rows)
	}
	if len(l.Bad) != min(l.BadRows, input.MaxReported) {
		t.Errorf("%d of %d bad rows are shown", len(l.Bad), l.BadRows)
	}
	seen := map[string]bool{}
	for m := range l.Machines.All() {
		if !validID.MatchString(m.ID) || seen[m.ID] {
			t.Errorf("id %q is wrong or seen before", m.ID)
		}
		seen[m.ID] = true
	}
	for _, m := range l.Unresolved {
		if m.ID != "" || m.Name == "" && m.AADDeviceID == "" {
			t.Errorf("%+v is not unresolved", m)
		}
	}
	names := map[string]bool{}
	for _, name := range l.Columns {
		if name == "" || names[name] {
			t.Errorf("column %q has no name or that of another", name)
		}
		names[name] = true
	}
	for _, machines := range [][]input.Machine{all(l), l.Unresolved, l.NotOnboarded} {
		for _, m := range machines {
			if len(m.Carried) > len(l.Columns) {
				t.Errorf("line %d carries %d values of %d columns", m.Line, len(m.Carried), len(l.Columns))
			}
		}
	}
}

// checkLines checks that every line is one of the text.
func checkLines(t *testing.T, l *input.List, text []byte) {
	t.Helper()
	last := bytes.Count(text, []byte{'\n'}) + 1
	for _, machines := range [][]input.Machine{all(l), l.Unresolved, l.NotOnboarded} {
		for _, m := range machines {
			if m.Line < 1 || m.Line > last {
				t.Errorf("line %d of %d", m.Line, last)
			}
		}
	}
	for _, bad := range l.Bad {
		if bad.Line < 1 || bad.Line > last {
			t.Errorf("bad row on line %d of %d", bad.Line, last)
		}
	}
}

// fuzzFormat reads anything as one format. Files of every format are seeds, since a wrong one is the likeliest mistake.
func fuzzFormat(f *testing.F, format input.Format, seeds ...string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var rejects bytes.Buffer
		o := input.Options{Format: format, SkipBadRows: true, Resolve: len(text)%2 == 0, Rejects: &rejects, Stdin: bytes.NewReader(text)}
		l, err := input.Read(t.Context(), "-", o)
		if err != nil {
			var e *input.Error
			if !errors.As(err, &e) || e.File != "-" || l != nil {
				t.Errorf("%v is no *Error of this file", err)
			}
			return
		}
		checkList(t, l)
		if magic := append(text, 0, 0)[:2]; magic[0] == 0x1f && magic[1] == 0x8b || magic[0] >= 0xfe {
			return // the lines are those of another text
		}
		checkLines(t, l, text)
	})
}

func FuzzCSV(f *testing.F) {
	fuzzFormat(f, input.CSV, "id\n", "id,id\n", "\"id\n", "id;\"a\nb\"\n\"", "sep=\t\nid\tname\n", "name\na\n", "name\n\"a\nb\nc\"\n",
		"id,name\n"+firstID+",\"a\n"+secondID+",b\"\n", "id,a,a,a (2),\n"+firstID+",1,2,3,4\n")
}

func FuzzJSON(f *testing.F) {
	fuzzFormat(f, input.JSON, "[", "{}", "[[]]", `{"value":[]}`, `[{"id":1}]`, `[{"id":"`+firstID+`","id":null}]`, `[{"a":{"b":[1, 2]}}]`, "[]{}[]")
}

func FuzzNDJSON(f *testing.F) {
	fuzzFormat(f, input.NDJSON, "{}\n{", "{\"a\":1,\n{\"name\":\"x\"}", "null\n1", "{\"id\":\""+firstID+"\"} x\n")
}

func FuzzPlain(f *testing.F) {
	fuzzFormat(f, input.Plain, "#\n", firstID, firstID+"\r\r\n", firstID+"\x00", "\xff\xfe\x00\xd8")
}

func FuzzAuto(f *testing.F) {
	fuzzFormat(f, input.Auto, "{", "[", "#TYPE\nid\n", "\x1f\x8b", "PK\x03\x04", "sep=;\n")
}
