package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"offboard/input"
)

func (r planReport) write(w io.Writer, form string, verbose bool) error {
	switch form {
	case "json":
		return writeJSON(w, r)
	case "csv":
		return r.writeCSV(w)
	case "markdown":
		return r.writeMarkdown(w)
	}
	return r.writeText(w, verbose)
}

// labelled is the width of the page's first column.
const labelled = 15

// writeText writes the page, no line wider than a terminal but for the command
// that carries it out: broken into lines it could not be pasted.
func (r planReport) writeText(w io.Writer, verbose bool) error {
	var b strings.Builder
	width := cmp.Or(r.width, terminalWidth)
	for _, l := range r.lines() {
		indented(&b, l.what, labelled, l.text, width)
	}
	if r.Run != "" {
		fmt.Fprintf(&b, "To carry it out:\n%s\n", r.Run)
	}
	if verbose {
		r.Plan.writeMachines(&b, width)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMachines writes what there is to say of every machine.
func (k planFile) writeMachines(b *strings.Builder, width int) {
	write := func(decision string, all []planMachine) {
		for _, m := range all {
			fmt.Fprintf(b, "\n%-9s  %s\n", decision, m.ID)
			indented(b, "", 11, strings.Join(m.words(k), "; "), width)
		}
	}
	write("send", k.Machines)
	write("leave out", k.LeftOut)
}

// words are what is known of a machine, whatever there is.
func (m planMachine) words(k planFile) (all []string) {
	cells := m.cells(k, "")
	for i, what := range planColumns {
		cell := cells[i]
		switch {
		case cell == "", what == "machine_id", what == "decision":
		case cell == notSeen:
			all = append(all, cell+" in the inventory")
		case what == "name", what == "reason":
			all = append(all, cell)
		default:
			all = append(all, strings.ReplaceAll(what, "_", " ")+" "+cell)
		}
	}
	return all
}

// indented writes a text behind its label, in as many lines as it takes.
func indented(b *strings.Builder, label string, indent int, text string, width int) {
	for _, l := range wrapped(text, max(width-indent, narrowest)) {
		fmt.Fprintf(b, "%s\n", strings.TrimRight(fmt.Sprintf("%-*s%s", indent, label, l), " "))
		label = ""
	}
}

// wrapped breaks a text into lines between its words; a word that is wider than a
// line it breaks too. A line break of the text's own is a blank.
func wrapped(text string, width int) []string {
	lines, last := []string{}, ""
	for word := range strings.FieldsSeq(text) {
		word = harmless(word) // which takes more room
		if last != "" && runewidth.StringWidth(last)+1+runewidth.StringWidth(word) <= width {
			last += " " + word
			continue
		}
		if last != "" {
			lines = append(lines, last)
		}
		for runewidth.StringWidth(word) > width {
			part := runewidth.Truncate(word, width, "")
			lines, word = append(lines, part), word[len(part):]
		}
		last = word
	}
	return append(lines, last)
}

// notSeen stands where a time would.
const notSeen = "not seen"

// planColumns are what CSV, Markdown and --verbose say of a machine.
var planColumns = []string{
	"machine_id", "name", "decision", "reason", "campaign", "offboarding", "os", "version", "health", "onboarding", "last_seen",
	"tags", "group", "value", "managed_by", "merged_into", "potential_duplication", "owner", "comment",
}

// rows are all machines of the plan, those left out after those to be sent.
func (k planFile) rows() (rows [][]string) {
	for _, m := range k.Machines {
		rows = append(rows, m.cells(k, "send"))
	}
	for _, m := range k.LeftOut {
		rows = append(rows, m.cells(k, "leave out"))
	}
	return rows
}

// cells are a machine's values of [planColumns].
func (m planMachine) cells(k planFile, decision string) []string {
	comment := cmp.Or(ticketed(m.Comment, k.Rules.Ticket), k.Comment)
	offboarding := ""
	if m.Offboarding != nil {
		offboarding = m.Offboarding.String()
	}
	cells := append([]string{m.ID, m.name(), decision, m.Reason, m.Campaign, offboarding}, m.facts()...)
	return append(cells, (&input.List{Columns: k.Columns}).Value(m.row(), "owner"), comment)
}

// name is the list's, or else the inventory's.
func (m planMachine) name() string {
	if m.Name == "" && m.Known != nil {
		return m.Known.Name
	}
	return m.Name
}

func (m planMachine) facts() []string {
	f := m.Known
	if f == nil {
		return []string{"", "", "", "", notSeen, "", "", "", "", "", ""}
	}
	seen, duplicate := "", ""
	if !f.LastSeen.IsZero() {
		seen = f.LastSeen.Format(time.RFC3339)
	}
	if f.PotentialDuplication {
		duplicate = "yes"
	}
	return []string{
		f.OSPlatform, f.Version, f.Health, f.Onboarding, seen, strings.Join(f.Tags, "; "), f.Group, f.Value, f.ManagedBy, f.MergedInto, duplicate,
	}
}

// writeCSV writes every machine, safe to be opened in a spreadsheet.
func (r planReport) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(planColumns); err != nil {
		return err
	}
	for _, row := range r.Plan.rows() {
		if err := writeSafe(out, row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeMarkdown writes the page and every machine as tables.
func (r planReport) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| Plan | |\n| --- | --- |\n")
	for _, l := range r.lines() {
		markdownRow(&b, l.what, l.text)
	}
	if r.Run != "" {
		fmt.Fprintf(&b, "\nTo carry it out:\n\n```sh\n%s\n```\n", r.Run)
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

// markdownText keeps a cell in its table, and what it says from being markup, a
// link, somebody's name or a dash.
var markdownText = strings.NewReplacer(
	"\\", "\\\\", "|", "\\|", "\n", " ", "\r", " ", "`", "\\`", "*", "\\*", "_", "\\_", "~", "\\~", "[", "\\[", "]", "\\]", "!", "\\!",
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "://", ":\\/\\/", "www.", "www\\.", "@", "\\@", "#", "\\#", "$", "\\$", "--", "\\-\\-",
)

func markdownRow(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		b.WriteString("| " + markdownText.Replace(c) + " ")
	}
	b.WriteString("|\n")
}
