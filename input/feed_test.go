package input_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"offboard/input"
)

// TestManyBatches: rows keep their order, lines and values however many are read ahead, and long ones do too.
func TestManyBatches(t *testing.T) {
	t.Parallel()
	for format, form := range map[input.Format]struct{ before, row, after string }{
		input.CSV:    {"id,note\n", "%s,%s\n", ""},
		input.JSON:   {"[{}\n", `,{"id":"%s","note":"%s"}` + "\n", "]"},
		input.NDJSON: {"{}\n", `{"id":"%s","note":"%s"}` + "\n", ""},
	} {
		const rows, each = 5000, 1000
		var text strings.Builder
		text.WriteString(form.before)
		for i := range rows {
			id, note := fmt.Sprintf("%040x", i), fmt.Sprint(i)
			if i%each == 0 {
				id = fmt.Sprint("bad", i)
			}
			if i > 3000 && i < 3010 {
				note = strings.Repeat("x", 300_000-i) + note
			}
			fmt.Fprintf(&text, form.row, id, note)
		}
		text.WriteString(form.after)
		var rejects bytes.Buffer
		l := read(t, text.String(), input.Options{Format: format, SkipBadRows: true, Rejects: &rejects})
		equal(t, format.String(), l.Machines.Len(), rows-rows/each)
		for _, m := range all(l) {
			i := m.Line - 2
			if m.ID != fmt.Sprintf("%040x", i) || len(m.Carried) != 1 || strings.TrimLeft(m.Carried[0], "x") != fmt.Sprint(i) {
				t.Fatalf("%v, line %d: %s carries %.20q", format, m.Line, m.ID, m.Carried)
			}
		}
		checkBad(t, l.Bad[len(l.Bad)-rows/each:], rejects.String(), each)
	}
}

// checkBad checks that every so many rows one is told of, in their order.
func checkBad(t *testing.T, bad []input.BadRow, rejects string, each int) {
	t.Helper()
	for n, row := range bad {
		name := fmt.Sprintf("bad%d\"", n*each)
		_, after, found := strings.Cut(rejects, name)
		if row.Line != n*each+2 || row.Column != "id" || !strings.Contains(row.Reason, name) || !found {
			t.Errorf("row %d is told of as %v, and in %q", n*each, row, rejects)
		}
		rejects = after
	}
}

// TestBadRowsBeforeTheEnd: what is wrong with rows is told of before what ends the reading, however close they are.
func TestBadRowsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"id,name\nx,a\n\"\n\n", "[\"x\",\n", "[\"x\",{\"id\":1,\"machineId\":2}]"} {
		var rejects bytes.Buffer
		_, err := input.Read(t.Context(), "-", input.Options{SkipBadRows: true, Rejects: &rejects, Stdin: strings.NewReader(text)})
		if err == nil || !strings.Contains(rejects.String(), `x"" is no machine id`) {
			t.Errorf("%q: %v, rejects: %s", text, err, rejects.String())
		}
	}
}
