package input_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"offboard/input"
)

// broken writes a list of 1,000 rows in which the quotation marks around the given column are 597 rows apart.
func broken(header string, column int, row func(i int) []string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range 1000 {
		cells := row(i)
		switch i {
		case 200:
			cells[column] = `"` + cells[column]
		case 797:
			cells[column] += `"`
		}
		b.WriteString(strings.Join(cells, ",") + "\r\n")
	}
	return b.String()
}

// TestSwallowed: rows between two stray quotation marks are never taken for the text of one cell.
func TestSwallowed(t *testing.T) {
	t.Parallel()
	id := func(i int) string { return fmt.Sprintf("%040X", i) }
	guid := func(i int) string { return fmt.Sprintf("1f0e3dad-9990-4b2c-8d6a-%012d", i) }
	name := func(i int) string { return fmt.Sprintf("pc-%03d", i) }
	tests := map[string]struct {
		header  string
		resolve bool
		row     func(i int) []string
	}{
		"ids first":         {"id,name,owner", false, func(i int) []string { return []string{id(i), name(i), "Ann"} }},
		"ids in the middle": {"name,id,owner", false, func(i int) []string { return []string{name(i), id(i), "Ann"} }},
		"ids last":          {"owner,name,id", false, func(i int) []string { return []string{"Ann", name(i), id(i)} }},
		"ids only":          {"id", false, func(i int) []string { return []string{id(i)} }},
		"wrong ids":         {"id,name", false, func(i int) []string { return []string{id(i) + "0", name(i)} }},
		"short rows":        {"id,name,owner,site", false, func(i int) []string { return []string{id(i), name(i)} }},
		"empty quotes":      {"id,name,owner", false, func(i int) []string { return []string{id(i), name(i), `""`}[:2+i%2] }},
		"Entra ids":         {"name,aadDeviceId", true, func(i int) []string { return []string{name(i), guid(i)} }},
		"names":             {"name", true, func(i int) []string { return []string{name(i)} }},
		"names and owners":  {"name,owner", true, func(i int) []string { return []string{name(i), "Ann"} }},
		"empty ids":         {"id,name,owner", true, func(i int) []string { return []string{"", name(i), "Ann"} }},
		"some short rows":   {"name,owner,site", true, func(i int) []string { return []string{name(i), "Ann", "Berlin"}[:3-i%3/2] }},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for column := range test.row(200) {
				text := "sep=,\n" + broken(test.header, column, test.row)
				o := input.Options{Format: input.CSV, SkipBadRows: true, Resolve: test.resolve, Stdin: strings.NewReader(text)}
				l, err := input.Read(t.Context(), "-", o)
				var e *input.Error
				if !errors.Is(err, input.ErrFormat) || !errors.As(err, &e) || e.Hint == "" {
					t.Fatalf("column %d: got %v, %v", column, l, err)
				}
				equal(t, "line", e.Line, 203)
				if !strings.Contains(e.Reason, "line 203 to line 800") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// TestSwallowedOnce: where there are ids, one row is not lost either, nor are those that the header swallows.
func TestSwallowedOnce(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{
		"id,name\n" + firstID + ",\"a\n" + secondID + ",b\"\n":              2,
		"id;name\n\n" + firstID + ";\"a\n" + secondID + ";b\"\n":            3,
		"name,id\n\"a," + firstID + "\nb\"," + secondID + "\n":              2,
		"name,owner,id\na,b,\"" + firstID + "\nc,d," + secondID + "\"\n":    2,
		"id,name\n" + fourthID + ",\"\"\"a\"\"\n" + secondID + ",b\"\n":     2,
		"id,\"name\n" + firstID + ",a\n" + secondID + ",b\"\n" + firstID:    1,
		"id\n\"" + firstID + "\n" + secondID + "\"\n":                       2,
		"id,name\n" + firstID + ",a\n\"" + secondID + "\n" + firstID + "\"": 3,
	} {
		_, err := input.Read(t.Context(), "-", input.Options{Format: input.CSV, SkipBadRows: true, Stdin: strings.NewReader(text)})
		var e *input.Error
		if !errors.Is(err, input.ErrFormat) || !errors.As(err, &e) {
			t.Errorf("%q: got %v", text, err)
			continue
		}
		equal(t, text, e.Line, line)
	}
}

// TestHonestLineBreaks: comments of several lines stay what they are, whatever they mention.
func TestHonestLineBreaks(t *testing.T) {
	t.Parallel()
	for _, comment := range []string{
		"first\nsecond\nthird",
		"Dear all,\nplease retire this one, thanks,\nit is old, slow, and\nbroken, Ann",
		"replaced by\n" + secondID,
		"its siblings:\n" + secondID + "\n" + fourthID,
		"replaced by " + secondID + ", see\nthe ticket, CHG-1",
		"CN=pc," + secondID + "\nCN=old," + fourthID,
		"10.0.0.1,10.0.0.2,10.0.0.3\nand one more",
		"\n\n",
		"a,b\r\n\r\nc,d\r\n\r\ne,f",
		strings.Repeat("a line of a long story\n", 500),
	} {
		cell := `"` + comment + `"`
		for header, row := range map[string]string{
			"id,name,notes": firstID + ",pc," + cell,
			"id,notes,name": firstID + "," + cell + ",pc",
			"notes,name,id": cell + ",pc," + firstID,
			"name,notes,os": "pc," + cell + ",11",
			"notes,name,os": cell + ",pc,11",
			"name,os,notes": "pc,11," + cell,
		} {
			l := read(t, header+"\n"+row+"\n", input.Options{Format: input.CSV, Resolve: true})
			if l.Machines.Len()+len(l.Unresolved) != 1 {
				t.Errorf("%s %q: %+v", header, comment, l)
				continue
			}
			m := append(all(l), l.Unresolved...)[0]
			equal(t, header, l.Value(m, "notes"), strings.ReplaceAll(comment, "\r\n", "\n"))
		}
	}
	l := read(t, "id,\"your\nnotes\"\n\""+firstID+"\n\",\n", input.Options{})
	equal(t, "a line break after an id, and in the header", show(all(l)), "3:")
}
