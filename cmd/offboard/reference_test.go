package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// commandTree is the whole command line as it is outside of every environment.
func commandTree() *cobra.Command {
	a := &app{env: environment{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}}
	root := a.rootCommand()
	root.DisableAutoGenTag = true // it is a date
	root.InitDefaultHelpCmd()
	return root
}

// everyCommand visits what help shows of a command and below it, by name.
func everyCommand(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() && child.Name() != "help" {
			everyCommand(child, visit)
		}
	}
}

const referenceHead = `# Command reference

Made from the code by ` + "`make docs`" + `; a test keeps it current. Every flag but the [personal ones](#personal-flags) can be set as ` + "`OFFBOARD_<FLAG>`" + ` in the environment, dashes as underscores. [README](../README.md#exit-codes) has the exit codes.

`

// reference is docs/commands.md as the code has it.
func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(referenceHead)
	byHand := map[string]bool{}
	everyCommand(commandTree(), func(c *cobra.Command) {
		var page bytes.Buffer
		if err := doc.GenMarkdownCustom(c, &page, func(file string) string {
			return "#" + strings.ReplaceAll(strings.TrimSuffix(file, ".md"), "_", "-")
		}); err != nil {
			t.Fatal(err)
		}
		own, _, _ := strings.Cut(page.String(), "### Options inherited") // they stand at the root
		own, _, _ = strings.Cut(own, "### SEE ALSO")
		b.WriteString(strings.TrimSpace(own) + "\n\n")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { byHand[f.Name] = personal(f.Name) || byHand[f.Name] })
	})
	b.WriteString("## Personal flags\n\nThey are given by hand each time, and no environment sets them:\n\n")
	for _, name := range slices.Sorted(maps.Keys(byHand)) {
		if byHand[name] {
			fmt.Fprintf(&b, "- `--%s`\n", name)
		}
	}
	return b.String()
}

// manual returns the man pages by file name. They bear no date, so that a release
// is the same whenever it is built.
func manual(t *testing.T) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	everyCommand(commandTree(), func(c *cobra.Command) {
		var page bytes.Buffer
		header := &doc.GenManHeader{Section: "1", Source: "offboard", Manual: "offboard", Date: new(time.Time)}
		if err := doc.GenMan(c, header, &page); err != nil {
			t.Fatal(err)
		}
		undated := bytes.Replace(page.Bytes(), []byte(`"Jan 0001"`), []byte(`""`), 1)
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		pages[name] = append(undated, manExitStatus()...)
	})
	return pages
}

func manExitStatus() string {
	s := ".SH EXIT STATUS\n"
	for _, m := range meanings {
		s += fmt.Sprintf(".TP\n%d\n%s\n", m.code, m.text)
	}
	return s
}

// TestCommandReference: docs/commands.md says what the commands do now.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	path, want := filepath.Join("..", "..", "docs", "commands.md"), reference(t)
	if os.Getenv("OFFBOARD_UPDATE_DOCS") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/commands.md is not what the code says; run 'make docs'")
	}
}

// TestManual: every command has a page, the same each time it is made, with the
// exit codes and without a date. With OFFBOARD_MAN the pages are left in that
// directory, which is how a release gets them.
func TestManual(t *testing.T) {
	t.Parallel()
	pages, again := manual(t), manual(t)
	everyCommand(commandTree(), func(c *cobra.Command) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		page := string(pages[name+".1"])
		if page != string(again[name+".1"]) {
			t.Errorf("%s: another page the second time", name)
		}
		for _, want := range []string{`.TH "` + strings.ToUpper(name) + `" "1" "" "offboard" "offboard"`, ".SH EXIT STATUS", "130\n"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
	})
	dir := os.Getenv("OFFBOARD_MAN")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
