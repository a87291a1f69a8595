package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const runbookFile = "runbook.md"

// step is a command of the runbook, and what is noted about it.
type step struct {
	line   string
	args   []string
	want   exitCode // "# 11" behind the command; else 0
	notes  []string // in a comment before its block, where it is the block's first
	behind bool     // the next block's commands are given while it is under way
	beside bool     // it is given while another one is under way
}

var (
	runbookLine = regexp.MustCompile(`^(.*?)(?:\s+# (\d+))?$`)
	cronFields  = regexp.MustCompile(`^(?:[\d*/,-]+ ){5}`)
	runbookNote = regexp.MustCompile(`^<!-- (.*) -->$`)
)

// readRunbook returns the steps by the heading that they stand under. A comment
// before a block notes what happens around it:
//
//	<!-- after 3d -->                   so much time has passed since the last command
//	<!-- at Fri 22:05 Europe/Oslo -->   the clock shows that
//	<!-- meanwhile -->                  the last block's last command is still under way
//	<!-- Ctrl-C after 30s -->           the command is interrupted
//	<!-- by another account -->         it is somebody else's
//	<!-- repaired -->                   what was wrong is put right
//
// Several are parted by semicolons. They are about the block's first command.
func readRunbook(t *testing.T) map[string][]*step {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", runbookFile))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*step{}
	var heading, block string
	var notes []string
	beside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch m := runbookNote.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "```"):
			if block != "" {
				beside = false
			}
			block = map[bool]string{true: strings.TrimPrefix(line, "```")}[block == ""]
		case block == "sh" || block == "cron":
			if s := newStep(t, line, block == "cron", notes); s != nil {
				s.beside = beside
				all[heading] = append(all[heading], s)
				notes = nil
			}
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		case m != nil:
			notes = strings.Split(m[1], "; ")
			beside = slices.Contains(notes, "meanwhile")
			if before := all[heading]; beside && len(before) > 0 && !before[len(before)-1].beside {
				before[len(before)-1].behind = true
			}
		}
	}
	return all
}

func newStep(t *testing.T, line string, inCron bool, notes []string) *step {
	t.Helper()
	m := runbookLine.FindStringSubmatch(line)
	command := m[1]
	if inCron {
		if command = cronFields.ReplaceAllString(m[1], ""); command == m[1] {
			t.Fatalf("%q is no line of a crontab", line)
		}
	}
	if command == "" || strings.HasPrefix(command, "export ") {
		return nil
	}
	s := &step{line: line, args: words(command), notes: notes}
	if m[2] != "" {
		code, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		s.want = exitCode(code)
	}
	return s
}

// runbookCommands finds the commands by another way than the one that does them.
func runbookCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", runbookFile))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^([\d*/,-]+ ){0,5}(offboard|mv) .*$`).FindAllString(string(text), -1)
}
