package input_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"offboard/input"
)

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRefused: what cannot be read as a list is refused with its line, whatever bad rows would be skipped.
func TestRefused(t *testing.T) {
	t.Parallel()
	list := "id,name\n" + firstID + ",pc-001\n"
	gz := zipped(t, strings.Repeat(list, 1000))
	twice := zipped(t, string(gz))
	workbook := "PK\x03\x04\x14\x00\x06\x00" + strings.Repeat("\x00", 100)
	many := strings.Repeat("a,", input.MaxColumns) + "id\n"
	tests := map[string]struct {
		text   string
		format input.Format
		want   error
		line   int
	}{
		"nothing":                  {"", input.Auto, input.ErrEmpty, 0},
		"blanks":                   {"\n \r\n\n", input.Auto, input.ErrEmpty, 0},
		"header only":              {"id,name\n", input.Auto, input.ErrEmpty, 0},
		"empty array":              {"[]", input.Auto, input.ErrEmpty, 0},
		"remarks only":             {"# none\n", input.Plain, input.ErrEmpty, 0},
		"no id column":             {"serial,owner\n1,2\n", input.Auto, input.ErrNoIDColumn, 1},
		"names without resolve":    {"name,owner\npc,2\n", input.Auto, input.ErrNoIDColumn, 1},
		"no header":                {firstID + ",pc-001\n", input.Auto, input.ErrNoIDColumn, 1},
		"no id key":                {"{\"serial\":1}\n{\"serial\":2}\n", input.Auto, input.ErrNoIDColumn, 0},
		"two ids":                  {"id,Device ID\n", input.Auto, input.ErrAmbiguousColumns, 1},
		"two ids in one object":    {"[\n{\"id\":\"1\",\"machineId\":\"2\"}]", input.Auto, input.ErrAmbiguousColumns, 2},
		"two ids in two objects":   {"{\"id\":\"1\"}\n{\"machineId\":\"2\"}", input.Auto, input.ErrAmbiguousColumns, 2},
		"two comments":             {"id,comment,Comment\n", input.Auto, input.ErrAmbiguousColumns, 1},
		"NUL":                      {list + firstID[1:] + "\x00\n", input.Auto, input.ErrEncoding, 3},
		"UTF-16 without a mark":    {"i\x00d\x00\n\x00", input.Auto, input.ErrEncoding, 1},
		"invalid UTF-8":            {list + "\xff\n", input.Auto, input.ErrEncoding, 3},
		"UTF-8 cut short":          {list + "\xe2\x82", input.Auto, input.ErrEncoding, 3},
		"a lone surrogate":         {"\xff\xfei\x00d\x00\n\x00\x00\xd8", input.Auto, input.ErrEncoding, 2},
		"half a UTF-16 unit":       {"\xff\xfei\x00d\x00\n\x00i", input.Auto, input.ErrEncoding, 2},
		"truncated gzip":           {string(gz[:len(gz)/2]), input.Auto, input.ErrEncoding, 0},
		"only gzip's magic":        {"\x1f\x8b", input.Auto, input.ErrEncoding, 0},
		"damaged gzip":             {string(gz[:len(gz)-8]) + "\x00\x00\x00\x00\x00\x00\x00\x00", input.Auto, input.ErrEncoding, 0},
		"gzip within gzip":         {string(twice), input.Auto, input.ErrEncoding, 0},
		"a workbook":               {workbook, input.Auto, input.ErrEncoding, 0},
		"a workbook taken for CSV": {workbook, input.CSV, input.ErrEncoding, 0},
		"a workbook within gzip":   {string(zipped(t, workbook)), input.Auto, input.ErrEncoding, 0},
		"an empty zip archive":     {"PK\x05\x06" + strings.Repeat("\x00", 18), input.Auto, input.ErrEncoding, 0},
		"a million columns":        {strings.Repeat("a,", 500_000) + "id\n", input.Auto, input.ErrTooLarge, 1},
		"too many columns":         {many, input.Auto, input.ErrTooLarge, 1},
		"too many keys":            {"[{" + keys(input.MaxColumns+1) + "}]", input.Auto, input.ErrTooLarge, 1},
		"a long line":              {strings.Repeat("a", 3<<20), input.Auto, input.ErrTooLarge, 1},
		"a long CSV record":        {list + "\"" + strings.Repeat("a\n", 1<<20), input.Auto, input.ErrTooLarge, 3},
		"a long plain line":        {firstID + "\n" + strings.Repeat("a", 3<<20), input.Plain, input.ErrTooLarge, 2},
		"a long NDJSON line":       {"{}\n\n{\"id\":\"" + strings.Repeat("a", 3<<20), input.NDJSON, input.ErrTooLarge, 3},
		"a long JSON element":      {"[\n{},\n{\"id\":\"" + strings.Repeat("a", 3<<20), input.JSON, input.ErrTooLarge, 2},
		"a long key":               {"[{\"" + strings.Repeat("a", 3<<20) + "\":1}]", input.JSON, input.ErrTooLarge, 1},
		"deep JSON":                {"[" + strings.Repeat("[", 100_000), input.JSON, input.ErrFormat, 1},
		"JSON cut short":           {"[{\"id\":\"" + firstID + "\"},\n{", input.Auto, input.ErrFormat, 2},
		"no JSON":                  {"[{\"id\":\"" + firstID + "\"},\nid]", input.Auto, input.ErrFormat, 2},
		"words after JSON":         {"[{\"id\":\"" + firstID + "\"}]\nend", input.Auto, input.ErrFormat, 2},
		"an object with no list":   {"{\"value\":\n{}}", input.JSON, input.ErrNoIDColumn, 0},
		"two lists":                {"{\"value\":[],\n\"Results\":[]}", input.Auto, input.ErrFormat, 2},
		"a string for JSON":        {"\"" + firstID + "\"", input.JSON, input.ErrFormat, 1},
		"CR only":                  {"id,name\r" + firstID + ",pc-001\r", input.Auto, input.ErrFormat, 1},
		"a quote that is not shut": {list + "\"" + firstID + ",a\n" + firstID + ",b\n", input.Auto, input.ErrFormat, 3},
		"a quote shut too late":    {list + "\"" + firstID + ",a\n" + firstID + "\"b\n", input.Auto, input.ErrFormat, 3},
		"a quote in the header":    {"id,na\"me\n", input.Auto, input.ErrFormat, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "list")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, from := range []string{path, "-"} {
				o := input.Options{Format: test.format, SkipBadRows: true, Stdin: iotest.HalfReader(strings.NewReader(test.text))}
				l, err := input.Read(t.Context(), from, o)
				var e *input.Error
				if !errors.Is(err, test.want) || !errors.As(err, &e) || l != nil {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				equal(t, "file", e.File, from)
				equal(t, "line", e.Line, test.line)
			}
		})
	}
}

// TestPacked: what packs a list in the wrong way is called by its name.
func TestPacked(t *testing.T) {
	t.Parallel()
	for text, name := range map[string]string{
		"PK\x03\x04\x14\x00":                     "a zip archive, such as an Excel workbook",
		string(zipped(t, "PK\x03\x04\x14\x00")):  "a zip archive, such as an Excel workbook",
		string(zipped(t, string(zipped(t, "")))): "gzip within gzip",
	} {
		_, err := input.Read(t.Context(), "-", input.Options{Stdin: strings.NewReader(text)})
		var e *input.Error
		if !errors.As(err, &e) || !strings.Contains(e.Reason, name) || e.Hint == "" {
			t.Errorf("got %v, want %s", err, name)
		}
	}
	equal(t, "a name that begins like one", read(t, "PK\x03,id\n,"+firstID+"\n", input.Options{}).Machines.Len(), 1)
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + strings.Repeat("x", i) + `":1`)
	}
	return b.String()
}

// TestSmallReads: where a read ends, within a rune or a line, changes nothing.
func TestSmallReads(t *testing.T) {
	t.Parallel()
	for name, want := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := input.Read(t.Context(), filepath.Join(dir, name), want.o)
		if err != nil {
			t.Fatal(err)
		}
		o := want.o
		o.Stdin = iotest.OneByteReader(bytes.NewReader(text))
		l, err := input.Read(t.Context(), "-", o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name, show(all(l)), show(all(whole)))
		equal(t, name, l.SHA256, whole.SHA256)
	}
}

func TestNotAFile(t *testing.T) {
	t.Parallel()
	if _, err := input.Read(t.Context(), t.TempDir(), input.Options{}); !errors.Is(err, input.ErrNotAFile) {
		t.Errorf("a directory: got %v", err)
	}
	if _, err := input.Read(t.Context(), filepath.Join(t.TempDir(), "none"), input.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

// TestReadFails: a file that fails half way is no shorter list, in any format.
func TestReadFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("input/output error")
	for _, text := range []string{"id\n" + firstID + "\n", firstID + "\n", "{\"id\":\"" + firstID + "\"}\n", "[{\"id\":\"" + firstID + "\"}"} {
		for _, pad := range []string{"", strings.Repeat(" \n", 100_000)} {
			o := input.Options{Stdin: io.MultiReader(strings.NewReader(text+pad), iotest.ErrReader(failure)), SkipBadRows: true}
			if _, err := input.Read(t.Context(), "-", o); !errors.Is(err, failure) {
				t.Errorf("%.10q: got %v", text, err)
			}
		}
	}
}

// TestCancelled: neither a file nor a terminal that says nothing keeps a cancelled run waiting.
func TestCancelled(t *testing.T) {
	t.Parallel()
	silent, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := input.Read(ctx, "-", input.Options{Stdin: silent})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: got %v", err)
	}
	if _, err := input.Read(ctx, filepath.Join(dir, "tabs.tsv"), input.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a file: got %v", err)
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// TestMemory: a line without end costs a few megabytes in every format.
func TestMemory(t *testing.T) {
	for _, start := range []string{"id,name\n", "id\n\"", "[{\"id\":\"", "{\"id\":\"", firstID + "\n"} {
		for format := input.Auto; format <= input.Plain; format++ {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			o := input.Options{Format: format, Stdin: io.MultiReader(strings.NewReader(start), endless('a')), SkipBadRows: true}
			_, err := input.Read(t.Context(), "-", o)
			runtime.ReadMemStats(&after)
			var e *input.Error
			if !errors.As(err, &e) {
				t.Errorf("%q as %v: got %v", start, format, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
				t.Errorf("%q as %v: %d MB allocated", start, format, used>>20)
			}
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fs.ErrPermission }

func TestRejectsFail(t *testing.T) {
	t.Parallel()
	o := input.Options{SkipBadRows: true, Rejects: failing{}}
	if _, err := input.Read(t.Context(), filepath.Join(dir, "bad-rows.csv"), o); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
