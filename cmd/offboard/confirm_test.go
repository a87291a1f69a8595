package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		flags    listFlags
		terminal bool
		typed    string
		machines int
		want     exitCode
	}{
		{"typed the number", listFlags{expect: -1}, true, "1200\n", 1200, exitOK},
		{"typed it as it is shown", listFlags{expect: -1}, true, "1,200\n", 1200, exitOK},
		{"typed without a newline", listFlags{expect: -1}, true, "12", 12, exitOK},
		{"typed yes", listFlags{expect: -1}, true, "y\n", 12, exitUsage},
		{"typed another number", listFlags{expect: -1}, true, "11\n", 12, exitUsage},
		{"hung up", listFlags{expect: -1}, true, "", 12, exitUsage},
		{"nobody there", listFlags{expect: -1}, false, "12\n", 12, exitUsage},
		{"nobody there, nothing to send", listFlags{expect: -1}, false, "", 0, exitOK},
		{"yes", listFlags{expect: -1, yes: true}, false, "", 12, exitOK},
		{"yes to what was expected", listFlags{expect: 12, yes: true}, false, "", 12, exitOK},
		{"yes to something else", listFlags{expect: 11, yes: true}, false, "", 12, exitGuard},
		{"expected nothing", listFlags{expect: 0, yes: true}, false, "", 1, exitGuard},
	}
	for _, c := range cases {
		a := &app{env: environment{stdin: strings.NewReader(c.typed), stderr: io.Discard, interactive: c.terminal}}
		if got := codeOf(a.confirm(&c.flags, c.machines, "c")); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	args := []string{"offboard", "resume", "--campaign", "it's", "--journal", `C:\Program Files\j`, "--share=0.5", "$HOME", "", "@x"}
	for goos, want := range map[string]string{
		"linux":   `offboard resume --campaign 'it'\''s' --journal 'C:\Program Files\j' --share=0.5 '$HOME' '' @x`,
		"windows": `offboard resume --campaign 'it''s' --journal 'C:\Program Files\j' --share=0.5 '$HOME' '' '@x'`,
	} {
		if got := quoteFor(goos, args); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", goos, got, want)
		}
	}
}

func TestTightened(t *testing.T) {
	t.Parallel()
	cases := []struct {
		begun, now, want rules
		refused          bool
	}{
		{rules{}, rules{}, rules{}, false},
		{rules{}, rules{Max: 5}, rules{Max: 5}, false},
		{rules{Max: 5}, rules{}, rules{Max: 5}, false},
		{rules{Max: 5}, rules{Max: 4}, rules{Max: 4}, false},
		{rules{Max: 5}, rules{Max: 6}, rules{}, true},
		{rules{IncludeNotOnboarded: true}, rules{}, rules{}, false},
		{rules{}, rules{IncludeNotOnboarded: true}, rules{}, true},
		{rules{NewJournal: true}, rules{}, rules{NewJournal: true}, false},
	}
	for _, c := range cases {
		got, err := c.begun.tightened(c.now)
		if (err != nil) != c.refused || err == nil && got != c.want {
			t.Errorf("%+v then %+v: %+v, %v", c.begun, c.now, got, err)
		}
	}
}

func TestGraver(t *testing.T) {
	t.Parallel()
	order := []exitCode{exitJournal, exitUnexpected, exitSignIn, exitInterrupted, exitUnreachable, exitGuard, exitInDoubt, exitBudget, exitRejected, exitOK}
	for i, grave := range order {
		for _, less := range order[i:] {
			if graver(grave, less) != grave || graver(less, grave) != grave {
				t.Errorf("of %d and %d the graver is %d", grave, less, graver(less, grave))
			}
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	if codeOf(errors.New("what?")) != exitUnexpected || codeOf(nil) != exitOK {
		t.Error("an unknown error is unexpected, none is fine")
	}
	for _, m := range meanings {
		if m.code.reason() == "" {
			t.Errorf("exit code %d has no reason", m.code)
		}
	}
}
