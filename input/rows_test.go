package input_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"offboard/input"

	"pgregory.net/rapid"
)

func read(t *testing.T, text string, o input.Options) *input.List {
	t.Helper()
	o.Stdin = strings.NewReader(text)
	l, err := input.Read(t.Context(), "-", o)
	if err != nil {
		t.Fatal(err)
	}
	checkList(t, l)
	return l
}

// TestColumns: columns are found by name, whatever their order, case and spacing.
func TestColumns(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"id", "ID", "machineId", "Machine ID", "machine_id", "DeviceId", "Device ID", " device-id "} {
		for _, name := range []string{"computerDnsName", "Device Name", "DeviceName", "name", "COMPUTER_DNS_NAME"} {
			l := read(t, name+",owner,"+id+"\npc-001,Ann,"+firstID+"\n", input.Options{})
			equal(t, id+" "+name, fmt.Sprint(all(l)), fmt.Sprintf("[{%s pc-001   [Ann] 2}]", firstID))
		}
	}
}

func TestNameColumns(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"name,id,Device Name\nAnn," + firstID + ",pc-001\n",
		`[{"name":"Ann","id":"` + firstID + `","DeviceName":"pc-001"}]`,
	} {
		l := read(t, text, input.Options{})
		equal(t, "name", l.Machines.At(0).Name, "pc-001")
		equal(t, "carried", strings.Join(l.Columns, "|")+"="+strings.Join(l.Machines.At(0).Carried, "|"), "name=Ann")
	}
}

func TestColumnNames(t *testing.T) {
	t.Parallel()
	l := read(t, "id,a,,a,a (2),,a\n"+firstID+",1,2,3,4,5,6\n", input.Options{})
	equal(t, "columns", strings.Join(l.Columns, "|"), "a|column 3|a (2)|a (2) (2)|column 6|a (3)")
	for i, c := range l.Columns {
		equal(t, c, l.Value(l.Machines.At(0), c), fmt.Sprint(i+1))
	}
	equal(t, "another spelling", l.Value(l.Machines.At(0), "COLUMN_3"), "2")
	equal(t, "no such column", l.Value(l.Machines.At(0), "b"), "")
}

func TestOnboarding(t *testing.T) {
	t.Parallel()
	for status, sent := range map[string]bool{
		"Onboarded": true, "onboarded": true, " On boarded ": true, "": true,
		"Can be onboarded": false, "CanBeOnboarded": false, "Unsupported": false, "InsufficientInfo": false,
	} {
		text := "id,Onboarding Status\n" + firstID + "," + status + "\n"
		l := read(t, text, input.Options{})
		equal(t, status, l.Machines.Len() == 1, sent)
		equal(t, status+" left out", len(l.NotOnboarded) == 0, sent)
		equal(t, status+" included", read(t, text, input.Options{IncludeNotOnboarded: true}).Machines.Len(), 1)
	}
}

func TestPortal(t *testing.T) {
	t.Parallel()
	header := "Device ID,Device Name,Extra,Last device update,Onboarding Status,Exposure Level\n"
	equal(t, "columns added and removed", read(t, header+firstID+"\n", input.Options{}).Portal, true)
	equal(t, "hunting", read(t, "DeviceId,DeviceName,OnboardingStatus\n"+firstID+"\n", input.Options{}).Portal, false)
}

// TestBadJSONRows: sound JSON that is no row is a bad row, and the rows around it are read.
func TestBadJSONRows(t *testing.T) {
	t.Parallel()
	good := `{"id":"` + firstID + `"}`
	for text, reason := range map[string]string{
		`1`:                               "a row must be an object or a machine id, not a number",
		`[]`:                              "a row must be an object or a machine id, not an array",
		`null`:                            "a row must be an object or a machine id, not null",
		`{}`:                              "the machine id is missing",
		`{"id":null}`:                     "the machine id is missing",
		`{"id":["a"]}`:                    "a text is needed, not an array",
		`{"name":{"a":1}}`:                "a text is needed, not an object",
		`{"id":"1","a":1,"id":"2"}`:       "the key appears twice in one object",
		`{"id":12}`:                       `"12" is no machine id: 40 hexadecimal digits are needed`,
		`"` + firstID[1:] + `g"`:          `"` + firstID[1:] + `g" holds characters other than hexadecimal digits`,
		`{"id":"` + secondID + `\u0000"}`: `"` + secondID + `\x00" is no machine id: 40 hexadecimal digits are needed`,
	} {
		array := read(t, "["+text+","+good+"]", input.Options{SkipBadRows: true})
		lines := read(t, text+"\n"+good, input.Options{SkipBadRows: true, Format: input.NDJSON})
		for _, l := range []*input.List{array, lines} {
			if l.Machines.Len() != 1 || l.BadRows != 1 {
				t.Errorf("%s: %+v", text, l)
				continue
			}
			equal(t, text, strings.TrimPrefix(l.Bad[0].Reason, "element 1: "), reason)
		}
	}
}

// TestElements: rows that share a line are told apart, through all arrays of a file.
func TestElements(t *testing.T) {
	t.Parallel()
	good, page := `{"id":"`+firstID+`"}`, `{"value":[%s,{"id":"x"},1]}`
	for text, want := range map[string][]string{
		"[" + strings.Repeat(good+",", 16) + `""]`: {`line 1: column "id": element 17: the machine id is missing`},
		fmt.Sprintf(page+page, good, good): {
			`line 1: column "id": element 2: "x" is no machine id: 40 hexadecimal digits are needed`,
			"line 1: element 3: a row must be an object or a machine id, not a number",
			`line 1: column "id": element 5: "x" is no machine id: 40 hexadecimal digits are needed`,
			"line 1: element 6: a row must be an object or a machine id, not a number",
		},
		good + "\n{}\n": {`line 2: column "id": the machine id is missing`}, // a line is place enough
	} {
		var rejects strings.Builder
		l := read(t, text, input.Options{SkipBadRows: true, Rejects: &rejects})
		var got []string
		for _, bad := range l.Bad {
			got = append(got, strings.TrimPrefix(bad.String(), "-: "))
		}
		equal(t, text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		equal(t, text, strings.Count(rejects.String(), ",element ")+strings.Count(rejects.String(), ",\"element "), strings.Count(strings.Join(want, ""), "element "))
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	good := `{"id":"` + firstID + `","b":1}`
	l := read(t, "{\"a\":1,\n"+good+" {}\n"+good+"\n", input.Options{SkipBadRows: true, Format: input.NDJSON})
	equal(t, "bad rows", l.BadRows, 2)
	equal(t, "machines", show(all(l)), "3:")
}

func TestJSONStream(t *testing.T) {
	t.Parallel()
	page := `{"value":[{"id":"%s"}],"@odata.nextLink":"more"}` + "\n"
	l := read(t, fmt.Sprintf(page+page, firstID, secondID), input.Options{})
	equal(t, "pages one after the other", show(all(l)), "1: 2:")
	l = read(t, "{\n \"id\": \""+firstID+"\"\n}\n{\n \"id\": \""+secondID+"\"\n}\n", input.Options{})
	equal(t, "objects over several lines", fmt.Sprint(l.Format, show(all(l))), "json1: 4:")
}

func TestManyBadRows(t *testing.T) {
	t.Parallel()
	var rejects strings.Builder
	text := "id\n" + strings.Repeat("x\n", 1000)
	_, err := input.Read(t.Context(), "-", input.Options{Stdin: strings.NewReader(text), Rejects: &rejects})
	var bad *input.BadRowsError
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	equal(t, "total", bad.Total, 1000)
	equal(t, "lines", strings.Count(bad.Error(), "\n"), input.MaxReported+1)
	equal(t, "rejects", strings.Count(rejects.String(), "\n"), 1001)
}

// TestUnsafeText: what a list holds neither drives the terminal nor becomes a formula.
func TestUnsafeText(t *testing.T) {
	t.Parallel()
	var rejects strings.Builder
	text := "Id,\"=a\"\n\"\x1b]0;x\x07\n=1+1\",1\n"
	_, err := input.Read(t.Context(), "-", input.Options{Stdin: strings.NewReader(text), Rejects: &rejects})
	if err == nil || strings.ContainsAny(strings.ReplaceAll(err.Error(), "\n", ""), "\x1b\x07") || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %q", err)
	}
	_, err = input.Read(t.Context(), "-", input.Options{Stdin: strings.NewReader("\"\x1b[2J,\n\"\n1\n")})
	if err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %q", err)
	}
}

// TestRandomLists writes lists of known content in every separator and checks that it comes back.
func TestRandomLists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringMatching(`[0-9a-fA-F]{39}[0-3]`), 1, 40).Draw(r, "ids")
		values := rapid.SliceOfN(rapid.StringMatching(`[ -~é\n]{0,12}`), len(ids), len(ids)).Draw(r, "values")
		comma := rapid.SampledFrom([]rune{',', ';', '\t'}).Draw(r, "comma")
		var b strings.Builder
		w := csv.NewWriter(&b)
		w.Comma, w.UseCRLF = comma, rapid.Bool().Draw(r, "crlf")
		_ = w.Write([]string{"owner", "Machine ID"})
		for i, id := range ids {
			_ = w.Write([]string{values[i], id})
		}
		w.Flush()
		l, err := input.Read(t.Context(), "-", input.Options{Stdin: strings.NewReader(b.String())})
		if err != nil {
			r.Fatal(err)
		}
		var want, got []string
		for i, id := range ids {
			if line := strings.ToLower(id); !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, line) }) {
				want = append(want, line+values[i])
			}
		}
		for m := range l.Machines.All() {
			got = append(got, m.ID+l.Value(m, "owner"))
		}
		if !slices.Equal(got, want) || l.Duplicates != len(ids)-len(want) {
			r.Fatalf("got %q and %d duplicates, want %q", got, l.Duplicates, want)
		}
	})
}

// TestLineOfArray: a row that is no object is told of by the line on which it begins, not that on which it ends.
func TestLineOfArray(t *testing.T) {
	t.Parallel()
	l := read(t, "[\n[1,\n2\n], \""+firstID+"\"\n]", input.Options{SkipBadRows: true})
	equal(t, "line", l.Bad[0].Line, 2)
	equal(t, "line of the id", l.Machines.At(0).Line, 4)
}
