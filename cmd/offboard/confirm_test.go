package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
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
		{"typed the number", listFlags{}, true, "1200\n", 1200, exitOK},
		{"typed it as it is shown", listFlags{}, true, "1,200\n", 1200, exitOK},
		{"typed without a newline", listFlags{}, true, "12", 12, exitOK},
		{"typed yes", listFlags{}, true, "y\n", 12, exitUsage},
		{"typed another number", listFlags{}, true, "11\n", 12, exitUsage},
		{"hung up", listFlags{}, true, "", 12, exitUsage},
		{"nobody there", listFlags{}, false, "12\n", 12, exitUsage},
		{"nobody there, nothing to send", listFlags{}, false, "", 0, exitOK},
		{"yes", listFlags{yes: true}, false, "", 12, exitOK},
	}
	for _, c := range cases {
		a := &app{env: environment{stdin: strings.NewReader(c.typed), stderr: io.Discard, interactive: c.terminal}}
		if got := codeOf(a.confirm(t.Context(), preview{send: input.MachinesOf(make([]input.Machine, c.machines)...)}, &runFlags{listFlags: c.flags})); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

// TestConfirmTellsWhatHasEnded: who agrees knows what is sent again, and since when it
// has succeeded.
func TestConfirmTellsWhatHasEnded(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p := preview{
		send: input.MachinesOf(make([]input.Machine, 12)...),
		again: []known{
			{Live: journal.Live{State: journal.Failed, Updated: since}}, {Live: journal.Live{State: journal.Succeeded, Updated: since}},
			{Live: journal.Live{State: journal.Succeeded, Updated: since.Add(time.Hour)}},
		},
		before: []known{{Live: journal.Live{State: journal.Rejected, Updated: since}}, {Live: journal.Live{State: journal.Cancelled, Updated: since}}},
	}
	var told strings.Builder
	a := &app{env: environment{stdin: strings.NewReader("12\n"), stderr: &told, interactive: true}}
	if err := a.confirm(t.Context(), p, &runFlags{}); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		"3 of them again: 2 succeeded, the last 2026-03-02T10:00:00Z; 1 failed, the last 2026-03-02T09:00:00Z.\n",
		"2 of them ended before in another campaign: 1 cancelled, the last 2026-03-02T09:00:00Z; 1 rejected, the last 2026-03-02T09:00:00Z.\n",
		"What says cancelled may have been carried out all the same; 'offboard verify' tells.\n",
	} {
		if !strings.Contains(told.String(), words) {
			t.Errorf("%q lacks %q", told.String(), words)
		}
	}
}

// TestConfirmCanBeInterrupted: nobody types, and the operator gives up.
func TestConfirmCanBeInterrupted(t *testing.T) {
	t.Parallel()
	typed, _ := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	a := &app{env: environment{stdin: typed, stderr: io.Discard, interactive: true}}
	time.AfterFunc(10*time.Millisecond, func() { cancel(interruption{os.Interrupt}) })
	if err := a.confirm(ctx, preview{send: input.MachinesOf(make([]input.Machine, 12)...)}, &runFlags{}); codeOf(err) != exitInterrupted {
		t.Errorf("%v: exit code %d", err, codeOf(err))
	}
}

func TestPlanCheck(t *testing.T) {
	t.Parallel()
	two := preview{send: input.MachinesOf(input.Machine{Line: 2, Comment: "why"}, input.Machine{Line: 3})}
	cases := []struct {
		name   string
		plan   plan
		expect int
		portal bool
		want   exitCode
	}{
		{"fine", plan{preview: two, comment: "why"}, anyNumber, false, exitOK},
		{"as expected", plan{preview: two, comment: "why"}, 2, false, exitOK},
		{"more than expected", plan{preview: two, comment: "why"}, 1, false, exitGuard},
		{"expected nothing", plan{preview: two, comment: "why"}, 0, false, exitGuard},
		{"at most two", plan{preview: two, comment: "why", rules: rules{Max: 2}}, anyNumber, false, exitOK},
		{"at most one", plan{preview: two, comment: "why", rules: rules{Max: 1}}, anyNumber, false, exitGuard},
		{"at most two, and one in doubt", plan{preview: preview{send: two.send, doubted: make([]known, 1)}, comment: "why", rules: rules{Max: 2}}, anyNumber, false, exitGuard},
		{"nobody knows what others did", plan{preview: two, comment: "why", uninformed: true}, anyNumber, false, exitSignIn},
		{"one without a comment", plan{preview: two}, anyNumber, false, exitUsage},
		{"portal export", plan{preview: two, comment: "why"}, anyNumber, true, exitGuard},
		{"portal export with a bound", plan{preview: two, comment: "why", rules: rules{Max: 2}}, anyNumber, true, exitOK},
	}
	for _, c := range cases {
		err := c.plan.check(&input.List{Portal: c.portal}, &runFlags{listFlags: listFlags{expect: c.expect}})
		if codeOf(err) != c.want {
			t.Errorf("%s: %v: exit code %d, want %d", c.name, err, codeOf(err), c.want)
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

// tightening is a campaign's rules, those of a later run, and what comes of both.
type tightening struct {
	begun, now, want rules
	refused          bool
}

func guarded(begun, now, want guardRules, refused bool) tightening {
	return tightening{rules{guardRules: begun}, rules{guardRules: now}, rules{guardRules: want}, refused}
}

func TestTightened(t *testing.T) {
	t.Parallel()
	cases := []tightening{
		{rules{}, rules{}, rules{}, false},
		{rules{}, rules{Max: 5}, rules{Max: 5}, false},
		{rules{Max: 5}, rules{}, rules{Max: 5}, false},
		{rules{Max: 5}, rules{Max: 4}, rules{Max: 4}, false},
		{rules{Max: 5}, rules{Max: 6}, rules{}, true},
		{rules{IncludeNotOnboarded: true}, rules{}, rules{}, false},
		{rules{}, rules{IncludeNotOnboarded: true}, rules{}, true},
		{rules{NewJournal: true}, rules{}, rules{NewJournal: true}, false},
		guarded(guardRules{Exclude: []string{"/a"}, Where: []string{"Site=OSL"}, RequireTags: []string{"x"}, ExcludeTags: []string{"y"}, OnlyInactive: "90d", MaxPercent: 5},
			guardRules{Exclude: []string{"/b"}, Where: []string{"Owner=x"}, RequireTags: []string{"a"}, ExcludeTags: []string{"y"}, OnlyInactive: "36h"},
			guardRules{Exclude: []string{"/a", "/b"}, Where: []string{"Owner=x", "Site=OSL"}, RequireTags: []string{"a", "x"}, ExcludeTags: []string{"y"}, OnlyInactive: "90d", MaxPercent: 5}, false),
		guarded(guardRules{OnlyInactive: "36h"}, guardRules{OnlyInactive: "2d"}, guardRules{OnlyInactive: "2d"}, false),
		guarded(guardRules{OS: []string{"Windows10", "Windows11"}}, guardRules{OS: []string{"windows10"}}, guardRules{OS: []string{"windows10"}}, false),
		guarded(guardRules{OS: []string{"Windows10"}}, guardRules{OS: []string{"Windows11"}}, guardRules{}, true),
		guarded(guardRules{Groups: []string{"Laptops"}}, guardRules{}, guardRules{Groups: []string{"Laptops"}}, false),
		guarded(guardRules{Groups: []string{"Laptops"}}, guardRules{Groups: []string{"Servers"}}, guardRules{}, true),
		guarded(guardRules{}, guardRules{IncludeServers: true}, guardRules{}, true),
		guarded(guardRules{IncludeServers: true}, guardRules{}, guardRules{}, false),
		guarded(guardRules{MaxPercent: 5}, guardRules{MaxPercent: 6}, guardRules{}, true),
		guarded(guardRules{MaxPercent: 5}, guardRules{MaxPercent: 4}, guardRules{MaxPercent: 4}, false),
	}
	for _, c := range cases {
		got, err := c.begun.tightened(c.now)
		if (err != nil) != c.refused || err == nil && !reflect.DeepEqual(got, c.want) {
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
	canceled := fmt.Errorf("%w: %w", interruption{syscall.SIGTERM}, context.Canceled)
	for _, c := range []struct {
		err  error
		want exitCode
	}{
		{nil, exitOK},
		{errors.New("what?"), exitUnexpected},
		{interruption{os.Interrupt}, exitInterrupted},
		{canceled, exitTerminated},
		{errors.Join(canceled, &input.Error{Err: context.Canceled}), exitTerminated},
		{errors.Join(canceled, journal.ErrStopped), exitUnexpected},
		{errors.Join(canceled, journal.ErrDamaged), exitJournal},
		{fmt.Errorf("%w: %w", runner.ErrTenantUnread, errors.New("403")), exitSignIn},
		{runner.ErrUnreachable, exitUnreachable},
		{&input.BadRowsError{}, exitUsage},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
	for _, m := range meanings {
		if m.code.reason() == "" {
			t.Errorf("exit code %d has no reason", m.code)
		}
	}
}
