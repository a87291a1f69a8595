package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		window, now string // in Oslo
		open        bool
		until       string // with its offset
	}{
		{"22:00-06:00", "2026-06-01 21:59:59", false, "2026-06-01T22:00:00+02:00"},
		{"22:00-06:00", "2026-06-01 22:00:00", true, "2026-06-02T06:00:00+02:00"},
		{"22:00-06:00", "2026-06-02 05:59:59", true, "2026-06-02T06:00:00+02:00"},
		{"22:00-06:00", "2026-06-02 06:00:00", false, "2026-06-02T22:00:00+02:00"},
		{"09:30-17:15", "2026-06-02 09:29:00", false, "2026-06-02T09:30:00+02:00"},
		{"09:30-17:15", "2026-06-02 12:00:00", true, "2026-06-02T17:15:00+02:00"},
		{"09:30-17:15", "2026-06-02 18:00:00", false, "2026-06-03T09:30:00+02:00"},
		{"20:00-00:00", "2026-06-02 23:59:00", true, "2026-06-03T00:00:00+02:00"},
		// The clocks go forward from 02:00 to 03:00, and back from 03:00 to 02:00.
		{"22:00-06:00", "2026-03-28 23:00:00", true, "2026-03-29T06:00:00+02:00"},
		{"02:30-04:00", "2026-03-29 01:00:00", false, "2026-03-29T03:30:00+02:00"},
		{"22:00-06:00", "2026-10-24 23:00:00", true, "2026-10-25T06:00:00+01:00"},
		{"22:00-06:00", "2026-12-31 23:00:00", true, "2027-01-01T06:00:00+01:00"},
	}
	for _, c := range cases {
		t.Run(c.window+" at "+c.now, func(t *testing.T) {
			t.Parallel()
			w, err := parseWindow(c.window)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.ParseInLocation(time.DateTime, c.now, oslo)
			if err != nil {
				t.Fatal(err)
			}
			open, until := w.at(now)
			if open != c.open || until.Format(time.RFC3339) != c.until {
				t.Errorf("%t until %s; want %t until %s", open, until.Format(time.RFC3339), c.open, c.until)
			}
		})
	}
}

func TestBudgetFlagsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, f := range []budgetFlags{
		{maxCalls: -1}, {maxDuration: -1}, {minSample: -1},
		{window: "22:00"}, {window: "22-06"}, {window: "06:00-06:00"}, {window: "25:00-06:00"}, {window: "a-b"},
		{window: "22:00-06:00", timeZone: "Mars/Olympus"},
		{maxFailures: "many"}, {maxFailures: "-1"}, {maxFailures: "0%"}, {maxFailures: "101%"}, {maxFailures: "NaN%"}, {maxFailures: "%"},
	} {
		var command *commandError
		if err := f.validate(); !errors.As(err, &command) || command.code != exitUsage {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// TestNightly: a campaign of two nights. Each run ends with the window, the next
// one goes on, and outside of it nothing is sent.
func TestNightly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const machines = 4000
		v := newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1, Latency: 300 * time.Millisecond})
		defer v.close()
		bounds := []string{"--window", "22:00-00:00", "--time-zone", "UTC", "--log-level", "warn"}
		run := func(want exitCode, sent int, args ...string) {
			t.Helper()
			code, stdout, stderr := v.run(t.Context(), append(args, bounds...)...)
			if n, _ := v.sim.Effects(); code != want || n != sent {
				t.Fatalf("exit code %d, %d machines; want %d, %d: %s%s", code, n, want, sent, stdout, stderr)
			}
		}
		first := []string{"run", v.list, "--comment", "why", "--yes"}
		// A bubble's clock begins at midnight UTC.
		run(exitBudget, 0, first...)
		<-time.After(22 * time.Hour)
		run(exitBudget, 3000, first...)
		if h, m, _ := time.Now().UTC().Clock(); h != 0 || m > 1 {
			t.Errorf("it ended at %02d:%02d", h, m)
		}
		run(exitBudget, 3000, "resume")
		<-time.After(22 * time.Hour)
		run(exitOK, machines, "resume")
		v.checkWindow(machines)
	})
}
