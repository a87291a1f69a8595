package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"offboard/internal/simulator"
	"offboard/runner"
)

// TestPolicyText: each key, and whatever is not plain, with its line.
func TestPolicyText(t *testing.T) {
	t.Parallel()
	protected, err := filepath.Abs("/etc/offboard/protected.csv")
	if err != nil {
		t.Fatal(err)
	}
	every := `# of this machine
exclude: ['` + protected + `']
where: ["site=Oslo,Leeds"]
require_tags: [Retire]
exclude_tags: [Keep]
os: [Windows10]
groups: [Laptops]
only_inactive: 30d
servers: never
max: 500
max_percent_of_tenant: 2.5
max_calls: 1000
max_failures: 10
max_failures_min_sample: 5
window: 22:00-06:00
time_zone: Europe/Oslo
ticket: '^CHG-[0-9]+$'
require_plan: true
require_approval: true
`
	p, err := parsePolicy([]byte(every))
	if err != nil {
		t.Fatal(err)
	}
	if !p.isTicket.MatchString("CHG-1") || p.Exclude[0].Path != protected {
		t.Errorf("%+v", p)
	}
	p.isTicket, p.Exclude = nil, nil
	want := &policy{
		guard: runner.Guard{
			Where:       []runner.Condition{{Column: "site", Values: []string{"Oslo", "Leeds"}}},
			RequireTags: []string{"Retire"}, ExcludeTags: []string{"Keep"}, OS: []string{"Windows10"}, Groups: []string{"Laptops"},
			InactiveFor: 30 * 24 * time.Hour,
		},
		max: 500, maxPercent: 2.5,
		bounds: budgetFlags{maxCalls: 1000, maxFailures: "10", minSample: 5, window: "22:00-06:00", timeZone: "Europe/Oslo"},
		ticket: "^CHG-[0-9]+$", requirePlan: true, requireApproval: true,
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%+v\nwant\n%+v", p, want)
	}
	for text, want := range map[string]string{
		"":                             "no rule",
		"# nothing\n":                  "no rule",
		"{}":                           "no rule",
		"- max: 5":                     "no rule",
		"max":                          "no rule",
		"max: 5\n---\nmax: 6\n":        "second document",
		"max: 5\n...\n%\n":             "line 3",
		"max: [":                       "line 1",
		"max: 5\nmaximum: 6\n":         `line 2: there is no key "maximum"`,
		"Max: 5\n":                     `line 1: there is no key "Max"`,
		"<<: {max: 5}\n":               `line 1: there is no key "<<"`,
		"max: 5\n\nmax: 6\n":           "line 3: max is there already, in line 1",
		"max: 0":                       "line 1: max: it is at least 1",
		"max: -1":                      "at least 1",
		"max: many":                    "line 1: max: it is not a whole number",
		"max: 99999999999999999999":    "not a whole number",
		"max:":                         "no value of its own",
		"max: ~":                       "no value of its own",
		"max_calls: &a 5\nmax: *a":     "line 2: max: it has no value of its own",
		"max_calls: 0":                 "at least 1",
		"max_percent_of_tenant: 0":     "above 0",
		"max_percent_of_tenant: 101":   "at most 100",
		"max_percent_of_tenant: .nan":  "above 0",
		"max_percent_of_tenant: five":  "not a number",
		"exclude: /etc/x":              "not a list of texts",
		"exclude: []":                  "a value is empty",
		"exclude: [protected.csv]":     "no absolute path",
		"exclude: [/a, '']":            "a value is empty",
		"require_tags: ['  ']":         "a value is empty",
		"os: {a: b}":                   "not a list of texts",
		"where: [site]":                "line 1: where:",
		"only_inactive: yesterday":     "line 1: only_inactive:",
		"servers: always":              "not never",
		"servers: ''":                  "a value is empty",
		"require_plan: maybe":          "not true or false",
		"require_plan:":                "no value of its own",
		"ticket: '['":                  "line 1: ticket:",
		"ticket: 'a)|(b'":              "line 1: ticket:",
		"max: 5\nmax_failures: few":    "line 2: max_failures:",
		"max_failures: 0%":             "line 1: max_failures:",
		"max_failures_min_sample: 5":   "no max_failures",
		"window: 22:00-06:00":          "needs a time_zone",
		"time_zone: UTC":               "no window",
		"window: noon\ntime_zone: UTC": "line 1: window:",
		"window: a\ntime_zone: Local":  "needs a time_zone",
		"window: 1-2\ntime_zone: Mars": "line 1: window:",
		"max_failures: 5\nmax_failures_min_sample: -1": "not negative",
	} {
		if p, err := parsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, p, err, want)
		}
	}
}

func mustParsePolicy(t *testing.T, text string) *policy {
	t.Helper()
	p, err := parsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p.fileMark = fileMark{"/etc/offboard/policy.yaml", "abc"}
	return p
}

// TestPolicyDemands: what a run has to bring. A policy of no such word, and none
// at all, ask for nothing.
func TestPolicyDemands(t *testing.T) {
	t.Parallel()
	cases := []struct {
		text              string
		ticket            string
		planned, approved bool
		want              exitCode
	}{
		{"max: 5", "", false, false, exitOK},
		{"ticket: CHG-[0-9]+", "CHG-12", false, false, exitOK},
		{"ticket: CHG-[0-9]+", "", false, false, exitGuard},
		{"ticket: CHG-[0-9]+", "CHG-12b", false, false, exitGuard},
		{"ticket: CHG-[0-9]+", "XCHG-12", false, false, exitGuard},
		{"ticket: CHG|INC", "CHGX", false, false, exitGuard},
		{"ticket: CHG|INC", "INC", false, false, exitOK},
		{"require_plan: true", "", false, false, exitGuard},
		{"require_plan: true", "", true, false, exitOK},
		{"require_plan: false", "", false, false, exitOK},
		{"require_approval: true", "", false, false, exitGuard},
		{"require_approval: true", "", true, false, exitGuard},
		{"require_approval: true", "", true, true, exitOK},
	}
	for _, c := range cases {
		err := mustParsePolicy(t, c.text).demands(c.ticket, c.planned, c.approved)
		if codeOf(err) != c.want || err != nil && !strings.Contains(err.Error(), "/etc/offboard/policy.yaml") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := (*policy)(nil).demands("", false, false); err != nil {
		t.Error(err)
	}
}

// TestPolicyAndFlags: the tighter of two bounds holds, whoever gave it, and flags
// that ask for more are refused.
func TestPolicyAndFlags(t *testing.T) {
	t.Parallel()
	cases := []struct {
		text  string
		flags rules
		want  exitCode
	}{
		{"max: 5", rules{}, exitOK},
		{"max: 5", rules{Max: 4}, exitOK},
		{"max: 5", rules{Max: 5}, exitOK},
		{"max: 5", rules{Max: 6}, exitGuard},
		{"max_calls: 5", rules{Max: 6}, exitOK},
		{"max_percent_of_tenant: 5", rules{guardRules: guardRules{MaxPercent: 5}}, exitOK},
		{"max_percent_of_tenant: 5", rules{guardRules: guardRules{MaxPercent: 5.1}}, exitGuard},
		{"servers: never", rules{guardRules: guardRules{IncludeServers: true}}, exitGuard},
		{"max: 5", rules{guardRules: guardRules{IncludeServers: true}}, exitOK},
	}
	for _, c := range cases {
		if err := mustParsePolicy(t, c.text).contradicted(c.flags); codeOf(err) != c.want {
			t.Errorf("%s and %+v: %v", c.text, c.flags, err)
		}
	}
}

// TestPolicyBudget: of policy and flags, whichever stops a run first.
func TestPolicyBudget(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 23, 0, 0, 0, time.UTC)
	six := time.Date(2026, 6, 2, 6, 0, 0, 0, time.UTC)
	window := "window: 22:00-06:00\ntime_zone: UTC\n"
	percent := func(p float64, sample int) *runner.FailureLimit {
		return &runner.FailureLimit{Percent: p, MinSample: sample}
	}
	count := func(n int) *runner.FailureLimit { return &runner.FailureLimit{Count: n, MinSample: 20} }
	cases := []struct {
		name, text string
		flags      budgetFlags
		want       runner.Budget
		code       exitCode
	}{
		{"neither", "max: 5", budgetFlags{}, runner.Budget{}, exitOK},
		{"calls of the policy", "max_calls: 5", budgetFlags{}, runner.Budget{Calls: 5}, exitOK},
		{"calls of the flags", "max: 5", budgetFlags{maxCalls: 7}, runner.Budget{Calls: 7}, exitOK},
		{"fewer calls by the policy", "max_calls: 5", budgetFlags{maxCalls: 7}, runner.Budget{Calls: 5}, exitOK},
		{"fewer calls by the flags", "max_calls: 5", budgetFlags{maxCalls: 4}, runner.Budget{Calls: 4}, exitOK},
		{"the window", window, budgetFlags{}, runner.Budget{Until: six}, exitOK},
		{"the window, and longer", window, budgetFlags{maxDuration: 8 * time.Hour}, runner.Budget{Until: six}, exitOK},
		{"the window, and shorter", window, budgetFlags{maxDuration: time.Hour}, runner.Budget{Until: now.Add(time.Hour)}, exitOK},
		{"a duration alone", "max: 5", budgetFlags{maxDuration: time.Hour}, runner.Budget{Until: now.Add(time.Hour)}, exitOK},
		{"outside the window", "window: 08:00-16:00\ntime_zone: UTC\n", budgetFlags{}, runner.Budget{}, exitBudget},
		{"the zone is the policy's", "window: 22:00-06:00\ntime_zone: Asia/Tokyo\n", budgetFlags{timeZone: "UTC"}, runner.Budget{}, exitBudget},
		{"outside the flags' window", window, budgetFlags{window: "08:00-16:00", timeZone: "UTC"}, runner.Budget{}, exitBudget},
		{"failures of the policy", "max_failures: 5%", budgetFlags{}, runner.Budget{Failures: percent(5, 20)}, exitOK},
		{"failures of the flags", "max: 5", budgetFlags{maxFailures: "3", minSample: 20}, runner.Budget{Failures: count(3)}, exitOK},
		{"fewer by the policy", "max_failures: 5", budgetFlags{maxFailures: "7", minSample: 20}, runner.Budget{Failures: count(5)}, exitOK},
		{"fewer by the flags", "max_failures: 5", budgetFlags{maxFailures: "0", minSample: 20}, runner.Budget{Failures: count(0)}, exitOK},
		{"less by the policy", "max_failures: 5%\nmax_failures_min_sample: 30", budgetFlags{maxFailures: "7%", minSample: 10}, runner.Budget{Failures: percent(5, 10)}, exitOK},
		{"less by the flags", "max_failures: 5%\nmax_failures_min_sample: 10", budgetFlags{maxFailures: "2%", minSample: 20}, runner.Budget{Failures: percent(2, 10)}, exitOK},
		{"a percentage and a number", "max_failures: 5%", budgetFlags{maxFailures: "1", minSample: 20}, runner.Budget{}, exitGuard},
		{"a number and a percentage", "max_failures: 5", budgetFlags{maxFailures: "1%", minSample: 20}, runner.Budget{}, exitGuard},
	}
	for _, c := range cases {
		a := &app{policy: mustParsePolicy(t, c.text), policyRead: true}
		got, err := a.budget(t.Context(), &c.flags, now)
		if codeOf(err) != c.code || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v, %d", c.name, got, err, c.want, c.code)
		}
	}
}

// TestPolicyUnchanged: a campaign goes on under the policy that its list was let
// through by, to the last byte of it and of the lists that it names.
func TestPolicyUnchanged(t *testing.T) {
	t.Parallel()
	of := func(path, sum string, lists ...fileMark) *policy {
		return &policy{policyMark: policyMark{fileMark{path, sum}, lists}}
	}
	list := func(sum string) fileMark { return fileMark{"/etc/offboard/crown.csv", sum} }
	cases := []struct {
		now, begun *policy
		same       bool
	}{
		{nil, nil, true},
		{of("/p", "1"), of("/p", "1"), true},
		{of("/p", "1", list("1")), of("/p", "1", list("1")), true},
		{of("/p", "1"), nil, false},
		{nil, of("/p", "1"), false},
		{of("/p", "2"), of("/p", "1"), false},
		{of("/q", "1"), of("/p", "1"), false},
		{of("/p", "1", list("2")), of("/p", "1", list("1")), false},
	}
	for _, c := range cases {
		kept, err := json.Marshal(rules{Policy: c.begun.mark()})
		if err != nil {
			t.Fatal(err)
		}
		var begun rules
		if err := json.Unmarshal(kept, &begun); err != nil {
			t.Fatal(err)
		}
		if err := c.now.unchanged(begun); (err == nil) != c.same || err != nil && codeOf(err) != exitGuard {
			t.Errorf("%+v after %s: %v", c.now, kept, err)
		}
	}
}

// TestPolicyIsReadOnce: what a run has begun with it ends with.
func TestPolicyIsReadOnce(t *testing.T) {
	t.Parallel()
	path := policyAt(t, "")
	a := &app{env: environment{policy: placed(path)}}
	if p, err := a.inForce(t.Context()); p != nil || err != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	writePolicy(t, path, "max: 5")
	if p, err := a.inForce(t.Context()); p != nil || err != nil {
		t.Errorf("one that came later: %+v, %v", p, err)
	}
	elsewhere := &app{env: environment{policy: func() (policyPlace, error) { return policyPlace{}, errors.New("no such folder") }}}
	if _, err := elsewhere.inForce(t.Context()); codeOf(err) != exitGuard {
		t.Errorf("a place that is not known: %v", err)
	}
}

// TestMachinePolicy: the shipped command looks where no variable leads.
func TestMachinePolicy(t *testing.T) {
	t.Parallel()
	place, err := processEnvironment().policy()
	if err != nil || !filepath.IsAbs(place.path) || place.owner != 0 || !strings.HasSuffix(filepath.ToSlash(place.path), "/offboard/policy.yaml") {
		t.Errorf("%+v, %v", place, err)
	}
}

func placed(path string) func() (policyPlace, error) {
	return func() (policyPlace, error) { return policyPlace{path, os.Getuid()}, nil }
}

// policyAt is the path of a policy in a directory that nobody else may write to;
// without a text there is no file.
func policyAt(t *testing.T, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "etc")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "policy.yaml")
	if text != "" {
		writePolicy(t, path, text)
	}
	return path
}

func writePolicy(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// ruleset is a choice of rules, as flags and as a policy says them.
type ruleset struct {
	flags []string
	text  string
}

func rulesets(lists ...string) *rapid.Generator[ruleset] {
	return rapid.Custom(func(t *rapid.T) ruleset {
		var r ruleset
		choose := func(flag, key string, list bool, values ...string) {
			if !rapid.Bool().Draw(t, flag) {
				return
			}
			value := rapid.SampledFrom(values).Draw(t, "value")
			r.flags = append(r.flags, "--"+flag, value)
			if list {
				value = "['" + value + "']"
			}
			r.text += key + ": " + value + "\n"
		}
		choose("exclude", "exclude", true, lists...)
		choose("where", "where", true, "site=Oslo", "site=Oslo,Lisbon,Leeds", "owner=finance")
		choose("require-tag", "require_tags", true, "Retire", "Old")
		choose("exclude-tag", "exclude_tags", true, "Keep", "Old")
		choose("os", "os", true, "Windows10", "Linux")
		choose("only-inactive", "only_inactive", false, "1h", "9d")
		if rapid.Bool().Draw(t, "servers") {
			r.text += "servers: never\n"
		} else {
			r.flags = append(r.flags, "--include-servers")
		}
		return r
	})
}

// TestPolicyOnlyTightens: whatever flags are given, a machine goes only if the
// policy alone and the flags alone would let it go.
func TestPolicyOnlyTightens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 24, Seed: 3})
		defer v.close()
		for i, m := range v.sim.Machines() {
			m.MachineTags = [][]string{{"Retire"}, {"Old", "Retire"}, {"Keep", "Retire"}, nil}[i%4]
			m.LastSeen = time.Now().Add(-[]time.Duration{time.Minute, 2 * time.Hour, 240 * time.Hour}[i%3])
			v.sim.AddMachine(m)
		}
		path := policyAt(t, "")
		crown := filepath.Join(filepath.Dir(path), "crown.txt")
		writePolicy(t, crown, v.sim.Machines()[0].ID+"\n"+v.sim.Machines()[5].ID+"\n")
		v.spoil = func(e *environment, _ *http.Transport) { e.policy = placed(path) }
		through := func(text string, flags []string) []string {
			writePolicy(t, path, text)
			if text == "" {
				_ = os.Remove(path)
			}
			code, stdout, stderr := v.run(t.Context(), append([]string{"run", v.list, "--comment", "why", "--dry-run", "--output", "json", "--log-level", "error"}, flags...)...)
			var r rehearsal
			if code == exitGuard && strings.Contains(stderr, "servers are never sent") {
				return nil
			}
			if err := json.Unmarshal([]byte(stdout), &r); code != exitOK || err != nil {
				t.Fatalf("%q under %q: exit code %d, %v: %s", flags, text, code, err, stderr)
			}
			return r.WouldSend
		}
		generator, sent, bitten := rulesets(crown), 0, 0
		for seed := range 30 {
			byPolicy, byFlags := generator.Example(seed), generator.Example(1000+seed)
			both := through(byPolicy.text, byFlags.flags)
			alone, free := through(byPolicy.text, []string{"--include-servers"}), through("", byFlags.flags)
			if strings.Contains(byPolicy.text, "servers") {
				alone = through(byPolicy.text, nil)
			}
			for _, id := range both {
				if !slices.Contains(alone, id) || !slices.Contains(free, id) {
					t.Errorf("%s goes under both %q and %q, and not under each", id, byPolicy.text, byFlags.flags)
				}
			}
			sent += len(both)
			bitten += len(free) - len(both)
		}
		if sent == 0 || bitten == 0 {
			t.Errorf("nothing was tried: %d machines went, %d were kept by the policy alone", sent, bitten)
		}
	})
}

// TestPolicyWindow: the policy's window and calls hold for resume too.
func TestPolicyWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 5, Seed: 1})
		defer v.close()
		path := policyAt(t, "window: 22:00-00:00\ntime_zone: UTC\nmax_calls: 3\n")
		v.spoil = func(e *environment, _ *http.Transport) { e.policy = placed(path) }
		run := func(want exitCode, sent int, says string, args ...string) {
			t.Helper()
			code, _, stderr := v.run(t.Context(), append(args, "--log-level", "warn")...)
			if n, _ := v.sim.Effects(); code != want || n != sent || !strings.Contains(stderr, says) {
				t.Fatalf("exit code %d, %d machines; want %d, %d: %s", code, n, want, sent, stderr)
			}
		}
		first := []string{"run", v.list, "--comment", "why", "--yes"}
		// A bubble's clock begins at midnight UTC.
		run(exitBudget, 0, "policy.yaml: outside --window 22:00-00:00", append(first, "--window", "00:00-12:00", "--time-zone", "UTC")...)
		<-time.After(22 * time.Hour)
		run(exitBudget, 3, "3 calls", append(first, "--max-calls", "4")...)
		<-time.After(3 * time.Hour)
		run(exitBudget, 3, "policy.yaml: outside", "resume")
		<-time.After(22 * time.Hour)
		run(exitOK, 5, "", "resume")
	})
}

// TestPolicyDocument: the example is a policy, and each key is explained.
func TestPolicyDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if filepath.Separator == '/' { // its paths are a Unix's
		if _, err := parsePolicy([]byte(example)); err != nil {
			t.Errorf("%v:\n%s", err, example)
		}
	}
	for key := range new(policyText).fields() {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("%s is not explained", key)
		}
	}
}
