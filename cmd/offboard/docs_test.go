package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/simulator"
)

var fence = regexp.MustCompile("(?ms)^```(sh|powershell)\n(.*?)^```")

// commandsIn returns the command lines of a document's shell blocks, without
// comments.
func commandsIn(t *testing.T, path string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[2]) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func documents(t *testing.T) []string {
	t.Helper()
	root := filepath.Join("..", "..")
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(documents) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return append(documents, filepath.Join(root, "README.md"), filepath.Join(root, "ARCHITECTURE.md"))
}

// words splits a line as the shells do for the quoting that the docs use.
func words(line string) (args []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		args = append(args, m[1]+m[2]+m[3])
	}
	return args
}

// TestDocumentedCommands runs every command of the documents, in their order,
// against a tenant.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	r := newRealTenant(t, simulator.Config{Machines: 10, Seed: 1, SettleAfter: time.Millisecond})
	dir := t.TempDir()
	list := filepath.Join(dir, "retired.csv")
	config := filepath.Join(dir, "offboard.yaml")
	files := strings.NewReplacer("retired.csv", list, "plan.json", filepath.Join(dir, "plan.json"), "offboard.yaml", config,
		"/var/lib/prometheus/node-exporter", dir)
	if err := writeFile(list, func(w io.Writer) error { return r.sim.WriteList(w, 0) }); err != nil {
		t.Fatal(err)
	}
	r.configure(config)
	ran := 0
	for _, document := range documents(t) {
		if filepath.Base(document) == runbookFile {
			continue // TestRunbook runs it, and fails where it misses one
		}
		for _, line := range commandsIn(t, document) {
			args := words(line)
			switch args[0] {
			case "offboard":
				for i, arg := range args {
					args[i] = files.Replace(arg)
				}
				if args[1] == "run" && !slices.Contains(args, "--dry-run") {
					args = append(args, "--yes") // nobody is there to type the number
				}
				if code, stderr := r.run(t.Context(), args[1:]...); code != 0 {
					t.Errorf("%s: %s: exit code %d\n%s", document, line, code, stderr)
				}
				ran++
			case "make":
				checkTarget(t, line, args[1])
			default:
				if !strings.HasPrefix(line, "export ") && !strings.HasPrefix(line, "$env:") {
					t.Errorf("%s: nobody checks %q", document, line)
				}
			}
		}
	}
	if ran < 6 {
		t.Errorf("only %d commands were found", ran)
	}
}

// TestNamedTestsExist: whatever a document says is shown by a test is.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	tests, found := testsOfTheModule(t), 0
	name := regexp.MustCompile("`((?:Test|Fuzz)\\w+|\\w+\\.txtar)")
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			if found++; !tests[m[1]] {
				t.Errorf("%s: there is no test %s", document, m[1])
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d tests are named", found)
	}
}

// configure writes the sample of a configuration for the tenant, with what the
// profile south names.
func (r *realTenant) configure(path string) {
	r.t.Helper()
	dir := filepath.Dir(path)
	text := strings.NewReplacer(
		"/etc/offboard/", dir+string(filepath.Separator),
		"22222222-2222-4222-8222-222222222222", r.config.TenantID, "22222222-aaaa-4aaa-8aaa-222222222222", r.config.ClientID,
	).Replace(deployFile(r.t, "offboard.yaml"))
	for name, text := range map[string]string{"offboard.yaml": text, "south.secret": r.config.ClientSecret, "protected.csv": "name\nnobody\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

func checkTarget(t *testing.T, line, target string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(text) {
		t.Errorf("%q: there is no such target", line)
	}
}

// TestExamplesParse: the examples of the help texts are valid command lines.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	a := &app{env: environment{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}}
	root, checked := a.rootCommand(), 0
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			args := words(line)
			found, rest, err := root.Find(args[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err != nil || found != c {
				t.Errorf("%s: %v", line, err)
			}
			checked++
		}
		for _, child := range c.Commands() {
			check(child)
		}
	}
	check(root)
	if checked == 0 {
		t.Error("there are no examples")
	}
}

// TestDocumentedExitCodes: README and help say the same.
func TestDocumentedExitCodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meanings {
		row := fmt.Sprintf("| %d | %s |", m.code, m.text)
		if m.code >= exitInterrupted {
			row = "| 130, 143 | interrupted, terminated; resumable |"
		}
		if !strings.Contains(string(text), row) {
			t.Errorf("README lacks %q", row)
		}
	}
}
