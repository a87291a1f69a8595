package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offboard/runner"
)

// somePlan has every part that a plan can have.
func somePlan() planFile {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	id := func(digit string) string { return strings.Repeat(digit, 40) }
	known := &runner.Facts{Name: "pc1", OSPlatform: "Windows11", LastSeen: now, Tags: []string{"<a> \u2028"}}
	return planFile{
		Schema: planSchema, MadeBy: "ann@here", MadeAt: now, ExpiresAt: now.Add(time.Hour), TenantID: "t", Cloud: "public", AppID: "a",
		Campaign: "c", Comment: "why \xff", Columns: []string{"id"}, Files: []planSource{{"keep.txt", "00"}},
		Rules:    rules{Max: 7, guardRules: guardRules{MaxPercent: 1.5}, Waves: &waveRules{waveTerms: waveTerms{Sizes: "100%"}, Waves: []wave{{"1", 1}}}},
		Machines: []planMachine{{ID: id("1"), Name: "pc1", Carried: []string{"x"}, Known: known}},
		LeftOut:  []planMachine{{ID: id("2"), Reason: "accepted", Offboarding: &planOffboarding{State: "accepted", Campaign: "b", Since: now}}},
	}
}

// TestPlansThatAreRefused: a plan is read as it was written, or not at all.
func TestPlansThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "plan.json")
	sum, err := somePlan().write(good)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := readPlan(good); err != nil || got != sum {
		t.Errorf("as written: %q, %v; want %q", got, err, sum)
	}
	swap := func(a, b string) string {
		if !strings.Contains(string(written), a) {
			t.Errorf("the plan has no %q", a)
		}
		return strings.Replace(string(written), a, b, 1)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, written); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "null": "null", "no object": "[]", "truncated": string(written[:len(written)/2]), "without its last byte": string(written[:len(written)-1]),
		"something behind it": string(written) + "{}", "another form": compact.String() + "\n",
		"a field that is not known":          swap(`"schema": 1,`, "\"schema\": 1,\n  \"skip\": true,"),
		"a field twice":                      swap(`"comment":`, "\"comment\": \"other\",\n  \"comment\":"),
		"a field twice, in capitals":         swap(`"machines":`, "\"MACHINES\": [],\n  \"machines\":"),
		"a machine's field twice":            swap(`"name": "pc1"`, `"name": "pc2", "name": "pc1"`),
		"a machine twice":                    swap(strings.Repeat("2", 40), strings.Repeat("1", 40)),
		"no machine id":                      swap(strings.Repeat("2", 40), "../../../x"),
		"another schema":                     swap(`"schema": 1`, `"schema": 2`),
		"no campaign":                        swap(`"campaign": "c"`, `"campaign": ""`),
		"a campaign that none is named like": swap(`"campaign": "c"`, `"campaign": "../c"`),
		"no tenant":                          swap(`"tenant_id": "t"`, `"tenant_id": ""`),
	} {
		path := filepath.Join(dir, "bad.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readPlan(path); codeOf(err) != exitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlanFiles: what is no plan by its size or kind is not even read; a link to
// one is.
func TestPlanFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.json")
	file, err := os.Create(huge)
	if err == nil {
		err = file.Truncate(maxPlan + 1) // takes no room
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{huge, dir, filepath.Join(dir, "nothing.json")} {
		if _, _, err := readPlan(path); codeOf(err) != exitUsage {
			t.Errorf("%s: %v", path, err)
		}
	}
	good, link := filepath.Join(dir, "plan.json"), filepath.Join(dir, "link.json")
	sum, err := somePlan().write(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(good, link); err != nil {
		t.Skip("no links here")
	}
	if _, got, err := readPlan(link); err != nil || got != sum {
		t.Errorf("a link: %q, %v", got, err)
	}
}

// FuzzPlan: whatever is taken for a plan is what is written for it, so that nobody
// has read something else.
func FuzzPlan(f *testing.F) {
	b, err := somePlan().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add(bytes.ReplaceAll(b, []byte(`"machines"`), []byte(`"Machines"`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parsePlan(b)
		if err != nil {
			return
		}
		if again, err := k.encode(); err != nil || !bytes.Equal(b, again) {
			t.Errorf("%v:\n%s\nis taken for\n%s", err, b, again)
		}
		ids := map[string]bool{}
		for _, m := range append(k.Machines, k.LeftOut...) {
			if !machineID.MatchString(m.ID) || ids[m.ID] {
				t.Errorf("machine %q", m.ID)
			}
			ids[m.ID] = true
		}
	})
}
