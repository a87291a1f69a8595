package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"offboard/input"
	"offboard/runner"
)

func (r planReport) write(w io.Writer, form string, verbose bool) error {
	switch form {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case "csv":
		return r.writeCSV(w)
	case "markdown":
		return r.writeMarkdown(w)
	}
	var b strings.Builder
	for _, l := range r.lines() {
		fmt.Fprintf(&b, "%-14s %s\n", l.what, l.text)
	}
	if verbose {
		for _, row := range r.Plan.rows() {
			fmt.Fprintf(&b, "%-9s  %s  %q  %s\n", row[2], row[0], row[1], strings.Join(nonEmpty(row[3:]), "  "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func nonEmpty(cells []string) (some []string) {
	for _, c := range cells {
		if c != "" {
			some = append(some, c)
		}
	}
	return some
}

// line is one of the page that a change board reads.
type line struct{ what, text string }

func (r planReport) lines() []line {
	k, s := r.Plan, r.Survey
	all := []line{
		{"Campaign", k.Campaign},
		{"Ticket", cmp.Or(k.Rules.Ticket, "none")},
		{"Comment", k.Comment},
		{"Tenant", k.TenantID + " of " + k.Cloud + ", app " + k.AppID},
		{"Machines", fmt.Sprintf("%s to be sent, %.1f%% of the %s onboarded in the tenant; %s left out%s",
			grouped(s.Machines), r.Percent, grouped(k.Onboarded), grouped(len(k.LeftOut)), reasonsOf(k.LeftOut))},
		{"Seen in 48 h", plural(s.SeenAwake, "machine") + "; these act within minutes, and what a machine has acted on cannot be taken back"},
		{"Servers", grouped(s.Servers)},
		{"High value", grouped(s.HighValue)},
		{"Not seen", grouped(s.NotSeen) + " not shown by the inventory"},
		{"Duplicates", grouped(s.Duplicates) + " merged into, or maybe the same as, another record"},
		{"By OS", largest(s.ByOS)},
		{"By group", largest(s.ByGroup)},
		{"By owner", largest(s.ByOwner)},
	}
	if s.NotWindows > 0 {
		all = append(all, line{"Warning", plural(s.NotWindows, "machine") + " not of Windows: the service may refuse them"})
	}
	if !r.TenantListed {
		all = append(all, line{"Warning", "what other hosts sent is not known: the tenant's actions cannot be listed"})
	}
	for _, w := range r.Waves {
		all = append(all, line{fmt.Sprintf("Wave %d", w.Wave), fmt.Sprintf("%s: %s, at the earliest until %s", w.Name, plural(w.Machines, "machine"), w.EndsAt.Format(time.RFC3339))})
	}
	back := "no management service is known to hold these machines"
	if s.Managed > 0 {
		back = plural(s.Managed, "machine") + " managed by " + largest(s.ByManager) + ": its onboarding policy would put them back; take them out of it first"
	}
	all = append(all,
		line{"Put back by", back},
		line{"Calls", fmt.Sprintf("%s; from %s to %s at the earliest", grouped(r.Calls), r.StartsAt.Format(time.RFC3339), r.EndsAt.Format(time.RFC3339))},
		line{"To undo", "'offboard cancel' while an action is pending; afterwards by the onboarding script on each machine"},
		line{"Permissions", "Machine.Offboard, and Machine.Read.All to look again before the first call"},
		line{"Made by", k.MadeBy + " at " + k.MadeAt.Format(time.RFC3339)},
	)
	if r.SHA256 == "" {
		return append(all, line{"Plan", "not kept; -o FILE writes it"})
	}
	return append(all,
		line{"Expires", k.ExpiresAt.Format(time.RFC3339)},
		line{"SHA-256", r.SHA256},
		line{"To carry out", r.Run},
	)
}

// most is how many shares a page names.
const most = 5

func largest(shares []runner.Share) string {
	var parts []string
	others := 0
	for i, s := range shares {
		if i >= most {
			others += s.Machines
			continue
		}
		name := s.Name
		if name == "" {
			name = "not known"
		}
		parts = append(parts, name+" "+grouped(s.Machines))
	}
	if others > 0 {
		parts = append(parts, "others "+grouped(others))
	}
	return strings.Join(parts, ", ")
}

// reasonsOf counts why machines are left out.
func reasonsOf(out []planMachine) string {
	if len(out) == 0 {
		return ""
	}
	var all []runner.Surveyed
	for _, m := range out {
		all = append(all, runner.Surveyed{Owner: m.Reason})
	}
	return " (" + largest(runner.SurveyOf(all, time.Time{}).ByOwner) + ")"
}

// writeCSV writes every machine, safe to be opened in a spreadsheet.
func (r planReport) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(planColumns); err != nil {
		return err
	}
	for _, row := range r.Plan.rows() {
		for i := range row {
			row[i] = input.SafeCell(row[i])
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (r planReport) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| plan | |\n| --- | --- |\n")
	for _, l := range r.lines() {
		markdownRow(&b, l.what, l.text)
	}
	b.WriteString("\n")
	markdownRow(&b, planColumns...)
	b.WriteString(strings.Repeat("| --- ", len(planColumns)) + "|\n")
	for _, row := range r.Plan.rows() {
		markdownRow(&b, row...)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownText keeps a cell in its table, and what it says from being markup.
var markdownText = strings.NewReplacer("\\", "\\\\", "|", "\\|", "\n", " ", "\r", " ", "`", "\\`", "<", "&lt;", "[", "\\[", "*", "\\*")

func markdownRow(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		b.WriteString("| " + markdownText.Replace(c) + " ")
	}
	b.WriteString("|\n")
}
