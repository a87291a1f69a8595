package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testsOfTheModule returns the names of all tests, fuzz tests and scripts.
func testsOfTheModule(t *testing.T) map[string]bool {
	t.Helper()
	function, names := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`), map[string]bool{}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, _ fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, ".txtar"):
			names[filepath.Base(path)] = true
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range function.FindAllSubmatch(text, -1) {
				names[string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil || len(names) < 100 {
		t.Fatalf("%d tests found: %v", len(names), err)
	}
	return names
}

// documentedFault is a row of docs/faults.md.
type documentedFault struct {
	number, reads string
	exits         []string
	tests         []string
}

func documentedFaults(t *testing.T) (rows []documentedFault) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("`((?:Test|Fuzz)\\w+(?:/[^`]+)?|\\w+\\.txtar)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 8 || strings.Contains(cells[2], "---") || strings.TrimSpace(cells[2]) == "fault" {
			continue
		}
		row := documentedFault{number: strings.TrimSpace(cells[1]), reads: cells[3] + cells[2], exits: strings.Split(strings.TrimSpace(cells[4]), ", ")}
		for _, m := range shown.FindAllStringSubmatch(cells[6], -1) {
			row.tests = append(row.tests, m[1])
		}
		row.reads += cells[6]
		if len(row.tests) == 0 {
			t.Errorf("no test shows %s", line)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestDocumentedFaults: every class of fault is in the document, every test that it
// names exists, and what it says of a row of TestNamedFaults is what that row
// demands.
func TestDocumentedFaults(t *testing.T) {
	t.Parallel()
	tests, numbers := testsOfTheModule(t), map[string]bool{}
	for _, row := range documentedFaults(t) {
		numbers[row.number] = true
		for _, name := range row.tests {
			test, fault, one := strings.Cut(name, "/")
			if !tests[test] {
				t.Errorf("there is no test %s", test)
			}
			if one && !row.describes(t, fault) {
				t.Errorf("TestNamedFaults has no row %q", fault)
			}
		}
	}
	for class := 1; class <= 32; class++ {
		if !numbers[strconv.Itoa(class)] {
			t.Errorf("class %d is missing", class)
		}
	}
}

// describes compares a row with those of TestNamedFaults whose names begin like
// this, and reports whether there are any.
func (row documentedFault) describes(t *testing.T, fault string) (found bool) {
	t.Helper()
	for _, f := range namedFaults(1) {
		if !strings.HasPrefix(f.name, fault) {
			continue
		}
		found = true
		if code := strconv.Itoa(int(f.code)); !slices.Contains(row.exits, code) {
			t.Errorf("%s ends with exit code %s, not %v", f.name, code, row.exits)
		}
		if f.code != exitOK && !strings.Contains(row.reads, strings.TrimSuffix(f.says, "machines")) {
			t.Errorf("%s: the operator reads %q", f.name, f.says)
		}
	}
	return found
}
