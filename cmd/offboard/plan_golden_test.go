package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"offboard/internal/simulator"
)

// variedTenant has a machine of every kind that a plan tells apart.
func variedTenant(v *virtualTenant) {
	all := v.sim.Machines()
	change := func(i int, f func(*simulator.Machine)) { f(&all[i]); v.sim.AddMachine(all[i]) }
	for i := range all {
		all[i].OSPlatform, all[i].RBACGroupName = "Windows11", []string{"Laptops", "Field"}[i%2]
	}
	change(0, func(m *simulator.Machine) {
		m.ManagedBy, m.DeviceValue, m.MachineTags = "Intune", "High", []string{"Retire"}
	})
	change(1, func(m *simulator.Machine) { m.OSPlatform = "WindowsServer2022" })
	change(2, func(m *simulator.Machine) { m.OSPlatform, m.LastSeen = "Linux", time.Now().Add(-30*24*time.Hour) })
	change(3, func(m *simulator.Machine) { m.OnboardingStatus = "CanBeOnboarded" })
	change(4, func(m *simulator.Machine) { m.MergedIntoMachineID, m.IsPotentialDuplication = all[0].ID, true })
	change(5, func(m *simulator.Machine) { m.MachineTags = []string{"=cmd|' /C calc'!A0", "keep | `x`\n<b>"} })
	change(6, func(m *simulator.Machine) { m.MachineTags = []string{"Keep"} })
	for i := 7; i < len(all); i++ {
		change(i, func(*simulator.Machine) {})
	}
	v.sim.RemoveMachine(all[8].ID)
	v.sim.Act(all[9].ID, "by hand")
}

// variedPlan is a plan of such a tenant, after another campaign.
func variedPlan(t *testing.T) (r planReport) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 12, Seed: 1, SettleAfter: -1})
		defer v.close()
		variedTenant(v)
		ids := v.sim.Machines()
		v.sim.Authorise(ids[10].ID, 2)
		v.ends(exitOK, "run", v.listOf("first.txt", ids[9].ID, ids[10].ID), "--campaign", "first", "--comment", "why", "--yes")
		v.ends(exitOK, "cancel", "--campaign", "first", "--reason", "no", "--yes")
		v.ends(exitOK, "run", v.listOf("second.txt", ids[10].ID), "--campaign", "second", "--comment", "why", "--yes", "--retry", "cancelled")
		keep := v.listOf("keep.txt", ids[7].ID)
		code, stdout, stderr := v.run(t.Context(), "plan", v.list, "--comment", "retired laptops", "--ticket", "CHG-4711", "--campaign", "retired",
			"--exclude", keep, "--exclude-tag", "Keep", "--include-servers", "--max", "50", "--waves", "2,100%", "--wave-pause", "1h", "--wave-confirm",
			"-o", filepath.Join(v.dir, "plan.json"), "--output", "json")
		if code != exitOK {
			t.Fatalf("%d: %s", code, stderr)
		}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(stdout, v.dir, "/srv")), &r); err != nil {
			t.Fatal(err)
		}
	})
	// What differs from one host to the next.
	r.Plan.MadeBy, r.SHA256 = "ann@office", strings.Repeat("0123456789abcdef", 4)
	r.Run = "offboard run --plan /srv/plan.json --plan-sha256 " + r.SHA256
	return r
}

// TestPlanForms compares each form of a plan with the one that was looked at last.
func TestPlanForms(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("its paths look otherwise there")
	}
	r := variedPlan(t)
	for name, form := range map[string]string{"page.txt": "text", "machines.csv": "csv", "plan.md": "markdown"} {
		var b bytes.Buffer
		if err := r.write(&b, form, true); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "plan", name)
		if os.Getenv("OFFBOARD_UPDATE_SCRIPTS") != "" {
			if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.String(), strings.ReplaceAll(string(want), "\r\n", "\n"); got != want {
			t.Errorf("%s is now\n%s", name, got)
		}
	}
}

// TestPlanKeepsToTheWidth: whatever names and comments hold, no line is wider than a
// terminal, but for the command.
func TestPlanKeepsToTheWidth(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("æ", 300)
	k := somePlan()
	k.Comment, k.List.Path, k.Machines[0].Name, k.Rules.ExcludeTags = long, "/"+long, long+" "+long, []string{long, "a b\nc"}
	r := planReport{Plan: k, SHA256: strings.Repeat("0", 64), Run: "run " + long}
	var b bytes.Buffer
	if err := r.write(&b, "text", true); err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(l, "\n")); n > terminalWidth && !strings.HasPrefix(l, "run ") {
			t.Errorf("%d wide: %s", n, l)
		}
	}
	if got := strings.Count(b.String(), "æ"); got < 5*300 {
		t.Errorf("of %d letters %d are left", 5*300, got)
	}
}

// TestMarkdownCells: a cell stays one cell, and says what it said.
func TestMarkdownCells(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	markdownRow(&b, "a|b\r\nc", "`x` *y* _z_ <b>&amp;", "[t](http://evil.example) @all #1 C:\\x")
	want := "| a\\|b  c | \\`x\\` \\*y\\* \\_z\\_ &lt;b&gt;&amp;amp; | \\[t\\](http:\\/\\/evil.example) \\@all \\#1 C:\\\\x |\n"
	if b.String() != want {
		t.Errorf("%q\nwant\n%q", b.String(), want)
	}
}
