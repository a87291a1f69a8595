package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// told are names and values that mean something to who shows them.
var told = []string{
	"<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a|b `c` [d](e)", "two\nlines\r\n=1+1", "\u202egnp.exe\x1b[31m", `quoted "x", 'y'; </style>`,
	"&lt;i&gt; {{.Report}}", "ordinary",
}

// reported is a journal with a campaign in which everything has happened once.
type reported struct {
	t *testing.T
	j *journal.Journal
	c *journal.Campaign
}

func openReported(t *testing.T) *reported {
	t.Helper()
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.Tenant{ID: "tenant", Cloud: "public"}, journal.Options{Operator: "ann@here"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return &reported{t: t, j: j}
}

func (r *reported) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func reportedID(i int) string { return fmt.Sprintf("%040x", i+1) }

// start begins a campaign of n machines.
func (r *reported) start(name, rules string, n int) *journal.Campaign {
	r.t.Helper()
	c, err := r.j.StartCampaign(journal.Info{Name: name, Comment: "CHG-1 old <b>laptops</b>", Rules: json.RawMessage(rules)})
	r.must(err)
	_, err = c.Enlist(journal.Enlistment{
		List:    journal.ListInfo{Path: "/lists/old.csv", SHA256: strings.Repeat("ab", 32), Machines: n, Duplicates: 2, BadRows: 1},
		Columns: []string{"owner", "=site"},
		Machines: func(yield func(journal.Machine) bool) {
			for i := range n {
				m := journal.Machine{ID: reportedID(i), Name: told[i%len(told)], Carried: []string{told[(i+1)%len(told)], "Leeds"}}
				if i == 11 {
					m.Exclude = "protected by /lists/vip.csv"
				}
				if i%5 == 0 {
					m.Comment = "own | comment"
				}
				if !yield(m) {
					return
				}
			}
		},
	})
	r.must(err)
	return c
}

func action(i int, status string) journal.Action {
	id := fmt.Sprintf("action-%d", i)
	raw, _ := json.Marshal(map[string]string{"id": id, "status": status, "requestor": "Fleet <Retirement>"})
	return journal.Action{ID: id, Status: status, Raw: raw}
}

func refusal(reason journal.Reason, status int) journal.Failure {
	return journal.Failure{Reason: reason, HTTPStatus: status, Code: "Code<1>", Message: told[0], Target: "|target."}
}

// send begins a machine's next attempt.
func (r *reported) send(i int) string {
	r.t.Helper()
	<-time.After(time.Second)
	_, err := r.c.Begin(reportedID(i), uint64(i))
	r.must(err)
	return reportedID(i)
}

// newReported makes the journal that the golden files are of; in a bubble.
func newReported(t *testing.T) *reported {
	t.Helper()
	r := openReported(t)
	other := r.start("other", `{}`, 13)
	r.c = other
	r.must(other.Accept(r.send(12), action(12, "Pending"), journal.Ours))
	r.c = r.start("old <laptops>", `{"ticket":"CHG-1","include_servers":true,"exclude":["/lists/vip.csv"],`+
		`"plan":{"sha256":"`+strings.Repeat("cd", 32)+`","approved_by":"bob@there"},"policy":{"path":"/etc/policy.yaml","sha256":"`+strings.Repeat("ef", 32)+`"}}`, 16)
	last := lastRun{
		StartedAt: time.Now().UTC(), EndedAt: time.Now().UTC().Add(time.Hour), ExitCode: exitInDoubt, ExitReason: "some machines are in doubt", Calls: callsResult{10, 1},
		Terms: runTerms{
			AppID: "app", Version: "v1", Limits: []runLimit{{60, 100}, {3600, 1500}}, Overrides: []string{"--include-servers", "--retry-of <x>"},
			Excludes: []planSource{{"/lists/vip.csv", strings.Repeat("12", 32)}},
		},
	}
	r.must(remember(r.c, last))
	r.must(r.c.Accept(r.send(0), action(0, "Succeeded"), journal.Ours))
	r.must(r.c.Accept(r.send(1), action(1, "Failed"), journal.Ours))
	r.must(r.c.Accept(r.send(2), action(2, "TimeOut"), journal.Ours))
	r.must(r.c.Accept(r.send(3), action(3, "Pending"), journal.Ours))
	r.must(r.c.Cancelling(reportedID(3), "wrong list", 77))
	r.must(r.c.CancelTaken(reportedID(3), action(3, "Cancelled")))
	r.must(r.c.Reject(r.send(4), refusal(journal.ReasonRefused, 400)))
	r.must(r.c.Doubt(r.send(5), refusal(journal.ReasonUnknown, 0)))
	r.must(r.c.Doubt(r.send(6), refusal(journal.ReasonUnknown, 502)))
	r.must(r.c.Verdict(reportedID(6), true, "seen | in the <portal>", "bob@there"))
	r.must(r.c.Adopt(reportedID(7), action(7, "Pending")))
	<-time.After(3 * time.Minute)
	r.must(r.c.Release(r.send(8), refusal(journal.ReasonThrottled, 429)))
	r.must(r.c.Accept(r.send(8), action(8, "Pending"), journal.Ours))
	r.must(r.c.Reject(r.send(9), refusal(journal.ReasonRefused, 400)))
	r.must(r.c.Authorise([]journal.Authorisation{{MachineID: reportedID(9), Reason: "=it was repaired"}}))
	r.send(10) // the process ends here
	return r
}

func (r *reported) read(v *reportedVerification) *campaignReport {
	r.t.Helper()
	made, err := readReport(r.j, r.c, v)
	r.must(err)
	return made
}

func verifiedOnce() *reportedVerification {
	seen := time.Date(2000, 1, 5, 0, 0, 0, 0, time.UTC)
	v := runner.Verified{MachineID: reportedID(0), State: journal.Succeeded, Finding: runner.Returned, NewID: reportedID(99), Offboarded: seen, LastSeen: seen}
	return &reportedVerification{planSource{"verified.json", strings.Repeat("34", 32)}, seen, map[runner.Finding]int{runner.Returned: 1}, map[string]runner.Verified{v.MachineID: v}}
}

// TestReportGolden holds each form to the letter.
func TestReportGolden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		made := r.read(verifiedOnce())
		made.MadeBy, made.Version, made.Journal = "ann@here", "v1", "/state/journal"
		for form, write := range reportForms {
			compareGolden(t, "report."+form, made, write)
		}
		compareGolden(t, "list.csv", made, func(_ *campaignReport, w io.Writer) error {
			return writeList(r.c, []journal.State{journal.Failed, journal.Rejected, journal.InDoubt}, w)
		})
	})
}

func compareGolden(t *testing.T, name string, made *campaignReport, write func(*campaignReport, io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(made, &got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "report", name)
	if os.Getenv("OFFBOARD_UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs; OFFBOARD_UPDATE_SCRIPTS=1 writes it anew:\n%s", path, got.String())
	}
}

func text(t *testing.T, r *campaignReport, form string) string {
	t.Helper()
	var b strings.Builder
	if err := reportForms[form](r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReportSchema: what is written is what was published, and nothing that was not.
func TestReportSchema(t *testing.T) {
	t.Parallel()
	schema := filepath.Join("..", "..", "docs", "report.schema.json")
	published, strict := compileSchema(t, schema, false), compileSchema(t, schema, true)
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		for _, v := range []*reportedVerification{nil, verifiedOnce()} {
			written := text(t, r.read(v), "json")
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(written))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []*jsonschema.Schema{published, strict} {
				if err := s.Validate(value); err != nil {
					t.Errorf("%v", err)
				}
			}
			value.(map[string]any)["totals"] = "none"
			if published.Validate(value) == nil {
				t.Error("anything is valid")
			}
		}
		r.c, _ = r.j.Campaign("other")
		value, _ := jsonschema.UnmarshalJSON(strings.NewReader(text(t, r.read(nil), "json")))
		if err := strict.Validate(value); err != nil {
			t.Errorf("a campaign without a plan: %v", err)
		}
	})
}

// compileSchema compiles the schema; a strict one takes no property that it does not
// name.
func compileSchema(t *testing.T, path string, strict bool) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	if strict {
		closeObjects(doc)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, named := v["properties"].(map[string]any); named && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

// TestReportOfHostileNames: what a list or an answer says stays text in every form.
func TestReportOfHostileNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		made := r.read(verifiedOnce())
		machines := made.Totals.Machines

		page := text(t, made, "html")
		if n := strings.Count(page, "<script"); n != 1 {
			t.Errorf("%d scripts in the page", n)
		}
		for _, reach := range []string{" src=", " href=", "url(", "@import", " style=", " onclick", "<b>", "<i>", "<laptops>", "<Retirement>", "<x>"} {
			if strings.Contains(page, reach) {
				t.Errorf("%q is in the page", reach)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Error("the page does not show the name")
		}

		rows, err := csv.NewReader(strings.NewReader(text(t, made, "csv"))).ReadAll()
		if err != nil || len(rows) != machines+1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if input.SafeCell(cell) != cell {
					t.Errorf("%q is not safe", cell)
				}
			}
		}

		bar := regexp.MustCompile(`(^|[^\\])\|`)
		_, table, _ := strings.Cut(text(t, made, "md"), "## Machines\n\n")
		lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
		if len(lines) != machines+2 {
			t.Errorf("%d lines for %d machines", len(lines), machines)
		}
		for _, line := range lines {
			if n := len(bar.FindAllString(line, -1)); n != len(made.heading())+1 || strings.ContainsAny(line, "\x1b\u202e<") {
				t.Errorf("%d bars in %q", n, line)
			}
		}

		var object struct{ Machines []reportedMachine }
		if err := json.Unmarshal([]byte(text(t, made, "json")), &object); err != nil || len(object.Machines) != machines {
			t.Fatalf("%d machines, %v", len(object.Machines), err)
		}
		for i, m := range object.Machines {
			if m.Name != told[i%len(told)] || m.Row != i+1 {
				t.Errorf("row %d: %q", m.Row, m.Name)
			}
		}
	})
}

// TestReportPolicy: the page's own style and script, to the byte, are all that it may
// use.
func TestReportPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		page := text(t, newReported(t).read(nil), "html")
		for tag, want := range map[string]string{"style": reportStyle, "script": reportScript} {
			_, rest, _ := strings.Cut(page, "<"+tag+">")
			if got, _, _ := strings.Cut(rest, "</"+tag+">"); got != want {
				t.Errorf("the %s is not the one that the policy was made for", tag)
			}
		}
		if !strings.Contains(page, `content="default-src &#39;none&#39;; style-src &#39;sha256-`) {
			t.Error("no policy")
		}
	})
}

// checkTotals: every machine is in exactly one state, and touched or not.
func checkTotals(t *testing.T, r *campaignReport, c *journal.Campaign) {
	t.Helper()
	counts, err := c.Counts()
	if err != nil {
		t.Fatal(err)
	}
	sum, states, left := 0, map[string]int{}, 0
	for _, st := range journal.States() {
		sum += r.Totals.ByState[st.String()]
		if r.Totals.ByState[st.String()] != counts.Of(st) {
			t.Errorf("%d machines are %s; the report has %d", counts.Of(st), st, r.Totals.ByState[st.String()])
		}
	}
	rows := 0
	for m, err := range r.machines {
		if rows++; err != nil || m.Row != rows {
			t.Fatalf("row %d comes as the %d., %v", m.Row, rows, err)
		}
		states[m.State]++
		if m.NotTouched != "" {
			left++
		}
	}
	untouched := 0
	for _, u := range r.Untouched {
		untouched += u.Machines
	}
	for state, n := range states {
		if r.Totals.ByState[state] != n {
			t.Errorf("%d rows are %s; the total is %d", n, state, r.Totals.ByState[state])
		}
	}
	if n := counts.Total(); sum != n || r.Totals.Machines != n || r.Totals.Touched+r.Totals.NotTouched != n || untouched != r.Totals.NotTouched || left != untouched {
		t.Errorf("%d machines: %+v, %d untouched", n, r.Totals, untouched)
	}
}

// TestReportAddsUp whatever became of the machines.
func TestReportAddsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		checkTotals(t, r.read(nil), r.c)
	})
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			r := openReported(t)
			chance := rand.New(rand.NewPCG(seed, 1))
			r.c = r.start("c", `{}`, 40)
			for i := range 40 {
				if what := chance.IntN(8); what > 1 && i != 11 {
					r.meet(r.send(i), what, i)
				}
			}
			checkTotals(t, r.read(nil), r.c)
		})
	}
}

// meet is one of the things that can become of a request.
func (r *reported) meet(id string, what, i int) {
	r.t.Helper()
	switch what {
	case 2:
		r.must(r.c.Reject(id, refusal(journal.ReasonRefused, 400)))
	case 3:
		r.must(r.c.Doubt(id, refusal(journal.ReasonUnknown, 0)))
	case 4:
		r.must(r.c.Release(id, refusal(journal.ReasonThrottled, 429)))
	case 5:
		r.must(r.c.Accept(id, action(i, "Failed"), journal.Ours))
	case 6:
		r.must(r.c.Accept(id, action(i, "Succeeded"), journal.Ours))
	default:
	}
}

// TestReportTells what the golden files show only to who knows where to look.
func TestReportTells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		made := r.read(nil)
		if made.Calls.Sent != 11 || made.Calls.Throttled != 1 || made.Calls.CancelCalls != 1 {
			t.Errorf("%+v", made.Calls)
		}
		if w := made.Calls.Windows; w[0] != (callWindow{60, 100, 7, 8}) || w[1] != (callWindow{3600, 1500, 10, 11}) {
			t.Errorf("%+v", w)
		}
		if len(made.Verdicts) != 1 || made.Verdicts[0].By != "bob@there" || len(made.Authorisations) != 1 || made.Authorisations[0].By != "ann@here" {
			t.Errorf("%+v, %+v", made.Verdicts, made.Authorisations)
		}
		if made.Plan.ApprovedBy != "bob@there" || made.Policy.Path != "/etc/policy.yaml" || len(made.Excludes) != 1 || made.Excludes[0].SHA256 == "" {
			t.Errorf("%+v, %+v, %+v", made.Plan, made.Policy, made.Excludes)
		}
		for m := range made.machines {
			if final := !m.FinalAt.IsZero(); final != slices.Contains([]string{"succeeded", "failed", "timed_out", "cancelled", "rejected"}, m.State) {
				t.Errorf("%s is %s, and its end at %s", m.MachineID, m.State, m.FinalAt)
			}
		}
	})
}

// TestReportListRoundTrip: what --only writes is read as what was listed.
func TestReportListRoundTrip(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.csv")
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t)
		r.must(writeFile(path, func(w io.Writer) error {
			return writeList(r.c, []journal.State{journal.Rejected, journal.Failed, journal.InDoubt}, w)
		}))
		list, err := input.Read(t.Context(), path, input.Options{})
		r.must(err)
		var ids []string
		for m := range list.Machines.All() {
			e, err := r.c.Entry(m.ID)
			r.must(err)
			want := e.Comment
			if want == "" {
				want = r.c.Info().Comment
			}
			if ids = append(ids, m.ID); m.Name != input.SafeCell(e.Name) || m.Comment != want || list.Value(m, "owner") != input.SafeCell(e.Carried["owner"]) {
				t.Errorf("%+v of %+v", m, e)
			}
		}
		if !slices.Equal(ids, []string{reportedID(1), reportedID(4), reportedID(5)}) {
			t.Errorf("%v", ids)
		}
	})
}

// TestReportOfMany: a large campaign is written machine by machine, in the order of
// its list.
func TestReportOfMany(t *testing.T) {
	t.Parallel()
	const machines = 10_000
	r := openReported(t)
	r.c = r.start("c", `{}`, machines)
	for i := range 20 {
		_, err := r.c.Begin(reportedID(i+20), uint64(i))
		r.must(err)
		r.must(r.c.Accept(reportedID(i+20), action(i, "Pending"), journal.Ours))
	}
	made := r.read(nil)
	checkTotals(t, made, r.c)
	for form, perMachine := range map[string]string{"csv": "\n", "json": `{"machine_id":`, "html": "<tr><td>0", "md": "\n| 0"} {
		if n := strings.Count(text(t, made, form), perMachine); n < machines {
			t.Errorf("%s: %d of %d machines", form, n, machines)
		}
	}
}

// TestReportFailsLoudly: an error in the middle of the machines is an error of the
// report, in every form.
func TestReportFailsLoudly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		made := newReported(t).read(nil)
		whole := made.machines
		made.machines = iter.Seq2[reportedMachine, error](func(yield func(reportedMachine, error) bool) {
			for m := range whole {
				if !yield(m, nil) || !yield(reportedMachine{}, journal.ErrDamaged) {
					return
				}
			}
		})
		for form, write := range reportForms {
			if err := write(made, io.Discard); codeOf(err) != exitJournal {
				t.Errorf("%s: %v", form, err)
			}
		}
	})
}

// TestReportWhileHeld: a run that is at work has not ended.
func TestReportWhileHeld(t *testing.T) {
	t.Parallel()
	r := openReported(t)
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"report", "--journal", r.j.Path()}, environment{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr, getenv: func(string) string { return "" },
	})
	if code != exitLocked {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
