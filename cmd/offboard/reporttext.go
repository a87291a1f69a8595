package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"offboard/journal"
)

// writeJSON writes the report as one object with the machines at its end, which are
// read while they are written.
func (r *campaignReport) writeJSON(w io.Writer) error {
	head, err := unescapedJSON(r)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, strings.TrimSuffix(head, "}\n")+`,"machines":[`); err != nil {
		return err
	}
	comma := "\n"
	for m, err := range r.machines {
		if err != nil {
			return err
		}
		text, err := unescapedJSON(m)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, comma+strings.TrimSuffix(text, "\n")); err != nil {
			return err
		}
		comma = ",\n"
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

func unescapedJSON(v any) (string, error) {
	var b strings.Builder
	err := writeJSON(&b, v)
	return b.String(), err
}

// reportColumns are the columns of a report's machines in CSV and Markdown; behind
// them come the carried ones.
var reportColumns = []string{
	"machine_id", "name", "row", "state", "not_touched", "settled_by", "comment", "origin", "attempts", "action_id", "action_status", "requestor",
	"sent_at", "answered_at", "final_at", "http_status", "error_code", "error_message", "error_target", "reason",
	"cancel", "cancel_by", "cancel_reason", "authorised", "authorised_reason", "verified", "last_seen", "new_id",
}

// heading is the row of column names; carried ones are told apart by their beginning.
func (r *campaignReport) heading() []string {
	names := append([]string{}, reportColumns...)
	for _, c := range r.columns {
		names = append(names, "list."+c)
	}
	return names
}

func (r *campaignReport) cells(m reportedMachine) []string {
	cells := []string{
		m.MachineID, m.Name, strconv.Itoa(m.Row), m.State, m.NotTouched, m.SettledBy, m.Comment, string(m.Origin), strconv.Itoa(m.Attempts),
		m.ActionID, m.ActionStatus, m.Requestor, inUTC(m.SentAt), inUTC(m.AnsweredAt), inUTC(m.FinalAt),
	}
	cells = append(cells, failureCells(m.Error)...)
	cells = append(cells, m.Reason)
	cells = append(cells, cancelCells(m.Cancel)...)
	cells = append(cells, numberOrNone(m.Authorised), m.Word)
	if v := m.Verified; v != nil {
		cells = append(cells, string(v.Finding), inUTC(v.LastSeen), v.NewID)
	} else {
		cells = append(cells, "", "", "")
	}
	for _, c := range r.columns {
		cells = append(cells, m.Carried[c])
	}
	return cells
}

func failureCells(f *journal.Failure) []string {
	if f == nil {
		return []string{"", "", "", ""}
	}
	return []string{numberOrNone(f.HTTPStatus), cmp.Or(f.Code, string(f.Reason)), f.Message, f.Target}
}

func cancelCells(c *journal.Cancellation) []string {
	if c == nil {
		return []string{"", "", ""}
	}
	return []string{cmp.Or(string(c.Outcome), "cut off"), c.Operator, c.Reason}
}

func numberOrNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// inUTC is a time to the second; "" for none.
func inUTC(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return instant(t)
}

// writeCSV writes a row a machine.
func (r *campaignReport) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := writeSafe(out, r.heading()); err != nil {
		return err
	}
	for m, err := range r.machines {
		if err != nil {
			return err
		}
		if err := writeSafe(out, r.cells(m)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// section is a table of the report, for people.
type section struct {
	Title string
	Note  string
	Head  []string
	Rows  [][]string
}

// writeMarkdown writes every section as a table, and the machines as the last.
func (r *campaignReport) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = harmless(c)
		}
		markdownRow(&b, cells...)
	}
	table := func(title, note string, head []string) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		if note != "" {
			fmt.Fprintf(&b, "%s\n\n", note)
		}
		row(append([]string{}, head...)...)
		b.WriteString(strings.Repeat("| --- ", len(head)) + "|\n")
	}
	fmt.Fprintf(&b, "# Campaign %s\n", markdownText.Replace(harmless(r.Campaign)))
	for _, s := range r.sections() {
		table(s.Title, s.Note, s.Head)
		for _, cells := range s.Rows {
			row(cells...)
		}
	}
	table("Machines", "", r.heading())
	for m, err := range r.machines {
		if err != nil {
			return err
		}
		row(r.cells(m)...)
		if b.Len() > 1<<16 {
			if _, err := io.WriteString(w, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
