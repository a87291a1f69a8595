package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mattn/go-runewidth"

	"offboard/internal/simulator"
)

// progressing is a campaign of a full minute and a bit, with a machine that is
// refused and one that is gone, one call after the other so that it is the same each time.
func progressing(t *testing.T) *virtualTenant {
	t.Helper()
	v := newVirtualTenant(t, simulator.Config{Machines: 120, Seed: 1, Latency: 317 * time.Millisecond})
	refused := v.sim.Machines()[3]
	refused.Refuse = "OsPlatformNotSupported"
	v.sim.AddMachine(refused)
	v.sim.RemoveMachine(v.sim.Machines()[104].ID)
	return v
}

func (v *virtualTenant) progress(form string, more ...string) (stderr string) {
	v.t.Helper()
	args := append([]string{"run", v.list, "--comment", "why", "--yes", "--workers", "1", "--progress", form, "--log-level", "error"}, more...)
	code, _, stderr := v.run(v.t.Context(), args...)
	if code != exitRejected {
		v.t.Errorf("exit code %d: %s", code, stderr)
	}
	return stderr
}

// progressLine is what a plain line says, in the middle of a call or not.
var progressLine = regexp.MustCompile(`^(\S+Z) machines: (\d+)% \d+ of 120 sent(, all by 00:0\dZ, in (1m)?\d+s)?; (\d+ planned, )?(1 sending, )?\d+ accepted, [12] rejected; minute \d+ of 100 calls(, next slot .*)?; hour \d+ of 1,500 calls(; Waiting \d+s: .*)?$`)

// TestProgressText: a plain line each interval and each 5%, with the time that is
// left by the limits.
func TestProgressText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := progressing(t)
		defer v.close()
		before, done := time.Now(), 0
		stderr := v.progress("text", "--progress-interval", "17s")
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		for _, line := range lines {
			m := progressLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%q", line)
			}
			at, err := time.Parse(time.RFC3339, m[1])
			percent, _ := strconv.Atoi(m[2])
			if err != nil || at.Sub(before) > 18*time.Second || percent < done || percent > done+stepPercent {
				t.Errorf("%d%% at %s, then %s", done, before, line)
			}
			before, done = at, percent
		}
		// Nothing is in flight while the minute is full.
		const full = "2000-01-01T00:00:48Z machines: 83% 100 of 120 sent, all by 00:01Z, in 19s; 20 planned, 99 accepted, 1 rejected; " +
			"minute 100 of 100 calls, next slot in 14s; hour 100 of 1,500 calls; Waiting 14s: the 100 calls in 1m are used up"
		if done != 100 || len(lines) != 21 || !slices.Contains(lines, full) {
			t.Errorf("%s", stderr)
		}
	})
}

// TestProgressJSON: each line is the campaign object of docs/json-output.md; the
// refusals are named, and when the next slot is free once the minute is used up.
func TestProgressJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := progressing(t)
		defer v.close()
		full, named := false, false
		lines := strings.Split(strings.TrimSpace(v.progress("json")), "\n")
		for _, line := range lines {
			var r result
			d := json.NewDecoder(strings.NewReader(line))
			d.DisallowUnknownFields()
			if err := d.Decode(&r); err != nil || r.Running == nil || len(r.Running.Quotas) != 2 {
				t.Fatalf("%v: %s", err, line)
			}
			sum := 0
			for _, n := range r.Counts {
				sum += n
			}
			if sum != 120 || r.Campaign != "machines" || r.Running.Campaign != "machines" || r.ExitCode != nil {
				t.Errorf("%s", line)
			}
			minute := r.Running.Quotas[0]
			if minute.Used == minute.Limit {
				full = true
				if minute.NextAt == nil || minute.NextAt.Before(time.Now().Add(-2*time.Minute)) || r.Running.Waiting == nil || r.Running.EndsAt == nil {
					t.Errorf("%s", line)
				}
			}
			for _, refusal := range r.Running.Refusals {
				named = true
				if refusal.State != "rejected" || len(refusal.MachineID) != 40 || !strings.Contains(refusal.Error, "OsPlatformNotSupported") && !strings.Contains(refusal.Error, "404") {
					t.Errorf("%+v", refusal)
				}
			}
		}
		if !full || !named || len(lines) < 20 {
			t.Errorf("%d lines; full %t, refusals %t", len(lines), full, named)
		}
	})
}

// TestProgressForms: what is told without a terminal, and with one that does not move
// its cursor; nothing of it is an escape.
func TestProgressForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		size bool
		want string // with the log at its usual level; "": nothing
		bars bool
	}{
		"auto":             {nil, nil, false, `"message":"progress"`, false},
		"bar, no terminal": {[]string{"--progress", "bar"}, nil, false, `"message":"progress"`, false},
		"console log":      {[]string{"--log-format", "console"}, nil, false, "INF progress accepted=", false},
		"none":             {[]string{"--progress", "none"}, nil, true, "", false},
		"environment":      {nil, map[string]string{"OFFBOARD_PROGRESS": "text"}, true, " machines: 100% 2 of 2 sent", false},
		"dumb":             {nil, map[string]string{"TERM": "dumb"}, true, `"message":"progress"`, false},
		"terminal":         {nil, nil, true, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtualTenant(t, simulator.Config{Machines: 2, Seed: 1, Latency: 4 * time.Second})
				defer v.close()
				for name, value := range c.env {
					v.env[name] = value
				}
				v.spoil = func(e *environment, _ *http.Transport) {
					if c.size {
						e.size = func() (int, int) { return 80, 24 }
					}
				}
				args := append([]string{"run", v.list, "--comment", "why", "--yes", "--workers", "1", "--progress-interval", "5s"}, c.args...)
				code, _, stderr := v.run(t.Context(), args...)
				told := strings.Contains(stderr, `"progress"`) || strings.Contains(stderr, "INF progress") || strings.Contains(stderr, " sent")
				if code != exitOK || !strings.Contains(stderr, c.want) || told != (c.want != "" || c.bars) {
					t.Errorf("exit code %d: %s", code, stderr)
				}
				if drawn := strings.Contains(stderr, "\x1b["); drawn != c.bars || drawn != strings.Contains(stderr, "campaign [") {
					t.Errorf("%q", stderr)
				}
			})
		})
	}
}

// TestProgressOfFollowing: and of taking back.
func TestProgressOfFollowing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 20, Seed: 1, Latency: 700 * time.Millisecond, SettleAfter: 10 * time.Minute})
		defer v.close()
		for _, c := range []struct {
			code exitCode
			want string
			args []string
		}{
			{exitOK, "half: 100% 10 of 10 sent", []string{"run", v.split(2)[0], "--campaign", "half", "--comment", "why", "--yes", "--workers", "1"}},
			{exitOK, "half: 0% 0 of 10 ended; 10 accepted; Waiting ", []string{"follow", "--campaign", "half"}},
			{exitOK, "other: 100% 10 of 10 sent", []string{"run", v.split(2)[1], "--campaign", "other", "--comment", "why", "--yes", "--workers", "1"}},
			{exitOK, " of 10 cancelled, all by 00:10Z, in 0s; ", []string{"cancel", "--campaign", "other", "--reason", "wrong", "--yes"}},
		} {
			code, stdout, stderr := v.run(t.Context(), append(c.args, "--progress", "text", "--progress-interval", "1s", "--log-level", "error")...)
			if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "{") {
				t.Errorf("%q: exit code %d: %s%s", c.args, code, stdout, stderr)
			}
		}
	})
}

// TestProgressInTheLogFile: the file has its lines whatever stderr shows.
func TestProgressInTheLogFile(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]struct {
		file   bool
		stderr string
	}{"auto": {true, ""}, "text": {true, " 4 of 4 sent"}, "json": {true, `"planned":0`}, "none": {}} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtualTenant(t, simulator.Config{Machines: 4, Seed: 1, Latency: 2 * time.Second})
				defer v.close()
				log := new(logFile)
				v.spoil = func(e *environment, _ *http.Transport) { e.logFile = log }
				path := filepath.Join(v.dir, "log")
				code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--workers", "1", "--progress", form, "--log-file", path)
				told, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				_ = log.file.Close()
				if code != exitOK || strings.Contains(string(told), `"message":"progress"`) != want.file {
					t.Errorf("exit code %d: %s", code, told)
				}
				if !strings.Contains(stderr, want.stderr) || (stderr == "") != (want.stderr == "") {
					t.Errorf("%s", stderr)
				}
			})
		})
	}
}

// TestProgressRefused: a form that there is not, and an interval that is none.
func TestProgressRefused(t *testing.T) {
	t.Parallel()
	v := newVirtualTenant(t, simulator.Config{Machines: 2, Seed: 1})
	defer v.close()
	for _, command := range [][]string{{"run", v.list, "--comment", "why"}, {"resume"}, {"follow"}, {"cancel", "--reason", "why"}, {"abort", "--reason", "why"}} {
		for _, flag := range []string{"--progress=gauge", "--progress-interval=0s"} {
			if code, _, stderr := v.run(t.Context(), append(command, flag)...); code != exitUsage || !strings.Contains(stderr, "--progress") {
				t.Errorf("%q %s: exit code %d: %s", command, flag, code, stderr)
			}
		}
	}
}

// TestBarsOnATerminal: the campaign of [TestProgressText] on a terminal that becomes
// narrow in the middle. The log is whole above the bars, they fit, they count down, at
// most two writes a second draw them, and in the end nothing is left of them.
func TestBarsOnATerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := progressing(t)
		defer v.close()
		see := newViewer(t, 80, 24)
		v.spoil = func(e *environment, _ *http.Transport) { e.stderr, e.size, e.terminal = see, see.size, true }
		began := time.Now()
		run := v.begin("run", v.list, "--comment", "why", "--yes", "--workers", "1", "--log-level", "warn")
		fits := func(width int) string {
			t.Helper()
			synctest.Wait()
			text := see.text()
			_, bars, found := strings.Cut(text, "campaign ")
			for row := range strings.SplitSeq(bars, "\n") {
				if !found || runewidth.StringWidth(row) >= width {
					t.Errorf("%d columns:\n%s", width, text)
				}
			}
			return text
		}
		<-time.After(50 * time.Second)
		if text := fits(80); strings.Count(text, "minute   [") != 1 || !strings.Contains(text, "next slot in ") || !strings.Contains(text, "Waiting ") || !strings.Contains(text, "The last refusals:\n") {
			t.Errorf("%s", text)
		}
		before := slot(see.text())
		<-time.After(time.Second)
		if after := slot(fits(80)); after == "" || after == before {
			t.Errorf("%q, then %q", before, after)
		}
		see.resize(30)
		<-time.After(time.Second)
		if text := fits(30); strings.Count(text, "minute ") != 1 || strings.Count(text, "campaign ") != 1 {
			t.Errorf("%s", text)
		}
		if e := <-run; e.code != exitRejected {
			t.Errorf("exit code %d: %s", e.code, see.text())
		}
		text := see.text()
		if strings.Contains(text, "campaign") || strings.Contains(text, "minute") || strings.Count(text, "WRN outcome") != 2 || !strings.HasSuffix(text, "\n") {
			t.Errorf("%s", text)
		}
		if atMost := int(time.Since(began)/drawEvery) + 10; see.writes > atMost {
			t.Errorf("%d writes; want at most %d", see.writes, atMost)
		}
	})
}

// slot is what the bars say of the next slot.
func slot(text string) string {
	_, after, _ := strings.Cut(text, "next slot in ")
	in, _, _ := strings.Cut(after, "\n")
	return in
}

// TestQuestionBelowTheBars: nothing is drawn over a question that is put in the
// middle of a campaign.
func TestQuestionBelowTheBars(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 4, Seed: 1, Latency: time.Second})
		defer v.close()
		see := newViewer(t, 80, 24)
		v.spoil = func(e *environment, _ *http.Transport) {
			e.stderr, e.size, e.terminal, e.interactive = see, see.size, true, true
			e.stdin = &lateAnswer{wait: time.Minute, text: "2\n"}
		}
		run := v.begin("run", v.list, "--comment", "why", "--yes", "--waves", "2,100%", "--wave-confirm", "--log-level", "error")
		<-time.After(30 * time.Second)
		synctest.Wait()
		if text := see.text(); !strings.HasSuffix(text, "Type the number of machines to go on:") || strings.Contains(text, "campaign [") {
			t.Errorf("%s", text)
		}
		if e := <-run; e.code != exitOK {
			t.Errorf("exit code %d: %s", e.code, see.text())
		}
	})
}

// lateAnswer is a person who takes a while.
type lateAnswer struct {
	wait time.Duration
	text string
}

func (l *lateAnswer) Read(p []byte) (int, error) {
	<-time.After(l.wait)
	return copy(p, l.text), nil
}

// TestNoColour: the log on a terminal has colours unless NO_COLOR asks for none.
func TestNoColour(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "1"} {
		v := newVirtualTenant(t, simulator.Config{Machines: 1, Seed: 1})
		v.env["NO_COLOR"] = value
		v.spoil = func(e *environment, _ *http.Transport) { e.terminal = true }
		code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes")
		if coloured := strings.Contains(stderr, "\x1b["); code != exitOK || coloured != (value == "") {
			t.Errorf("NO_COLOR=%s: exit code %d: %q", value, code, stderr)
		}
		v.close()
	}
}
