package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

// halfway is a campaign in the middle of a full minute, with what other people's
// texts can hold.
func halfway() advance {
	now := time.Date(2026, 3, 1, 12, 40, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	return advance{
		verb: "sent", done: 1200, of: 3000, at: now,
		result: result{
			Campaign: "retired", Counts: map[string]int{"accepted": 1195, "rejected": 3, "in_doubt": 2, "planned": 1800, "failed": 0},
			Running: &running{
				EndsAt:  at(34*time.Minute + 12*time.Second),
				Quotas:  []quotaUse{{60, 100, 100, at(12 * time.Second)}, {3600, 1500, 1200, at(20 * time.Minute)}},
				Waiting: &waitingFor{"the 100 calls in 1m are used up", now.Add(12 * time.Second)},
				Refusals: []refused{
					{now.Add(-time.Minute), strings.Repeat("a", 40), "rejected", "404 ResourceNotFound \x1b[2J\nno such machine 漢字"},
					{now.Add(-time.Second), strings.Repeat("b", 40), "in_doubt", "the answer was lost"},
				},
			},
		},
	}
}

// TestBars: what is drawn at some widths is what testdata/bars.txt says; no row is
// wider than there is room for, or holds what a terminal obeys.
func TestBars(t *testing.T) {
	t.Parallel()
	held, stopping, following, waves := halfway(), halfway(), halfway(), halfway()
	held.Running.Held, held.Running.EndsAt = &heldBy{held.at.Add(-time.Hour), "ops@host"}, nil
	stopping.Running.Stopping = stoppedError{"ops@host"}.Error()
	following.verb, following.of, following.Running = "ended", 1200, &running{}
	waves.Waves = &wavesResult{Of: 3, Open: 2}
	waves.Running.EndsAt, waves.Running.Quotas[0].NextAt = nil, nil
	var b strings.Builder
	for _, c := range []struct {
		name  string
		width int
		s     advance
	}{
		{"wide", 120, halfway()}, {"a terminal", 79, halfway()}, {"narrow", 39, halfway()}, {"hardly any", 7, halfway()},
		{"held", 79, held}, {"stopping", 79, stopping}, {"following", 79, following}, {"waves", 79, waves},
	} {
		b.WriteString("-- " + c.name + " --\n")
		for _, row := range c.s.rows(c.width) {
			if runewidth.StringWidth(row) > c.width || strings.ContainsFunc(row, obeyed) || strings.Contains(row, "\n") {
				t.Errorf("%s: %q", c.name, row)
			}
			b.WriteString(row + "\n")
		}
		b.WriteString(c.s.line() + "\n")
	}
	golden(t, "bars.txt", b.String())
}

// TestNarrowTables: on a terminal of 40 columns no line of a table is wider, and no
// word of what is told of a machine is lost.
func TestNarrowTables(t *testing.T) {
	t.Parallel()
	id, reason := strings.Repeat("a", 40), strings.Repeat("a long reason 漢字 ", 20)+"END"
	for name, write := range map[string]func(*strings.Builder, int) error{
		"table": func(b *strings.Builder, width int) error {
			machines := &table{w: b, width: width}
			machines.row(id, "name", "rejected", reason)
			machines.row(strings.Repeat("b", 40), "", "in_doubt", "END")
			return machines.flush()
		},
		"campaigns": func(b *strings.Builder, width int) error {
			r := campaignsResult{Campaigns: []campaignResult{{Campaign: strings.Repeat("c", 60), Ticket: strings.Repeat("T", 60), Comment: reason}}}
			return r.write(b, width)
		},
		"plan": func(b *strings.Builder, width int) error {
			k := somePlan()
			k.Comment = reason
			return planReport{Plan: k, width: width}.write(b, "text", false)
		},
	} {
		var b strings.Builder
		if err := write(&b, 40); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if n := runewidth.StringWidth(line); n > 40 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		if name != "campaigns" && (!strings.Contains(b.String(), "END") || strings.Count(b.String(), "漢字") != 20) {
			t.Errorf("%s: %s", name, b.String())
		}
	}
	var plain strings.Builder
	wide := &table{w: &plain}
	wide.row(id, reason)
	if err := wide.flush(); err != nil || plain.String() != id+"  "+reason+"\n" {
		t.Errorf("%v: %s", err, &plain)
	}
}

// golden compares a text with the file that was looked at last.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("OFFBOARD_UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}
