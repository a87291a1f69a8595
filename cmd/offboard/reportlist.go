package main

import (
	"cmp"
	"encoding/csv"
	"io"
	"strings"

	"offboard/input"
	"offboard/journal"
)

// states are those of --only, none without it.
func (f *reportFlags) states() (states []journal.State, err error) {
	if f.only == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(f.only, ",") {
		var st journal.State
		if st.UnmarshalText([]byte(strings.TrimSpace(word))) != nil {
			var all []string
			for _, known := range journal.States() {
				all = append(all, known.String())
			}
			return nil, usageError("--only %q: %q is not one of %s", f.only, word, strings.Join(all, ", "))
		}
		states = append(states, st)
	}
	return states, nil
}

// writeList writes the campaign's machines in these states as a list that run takes,
// safe in spreadsheets: each with the comment that it was sent with, and the carried
// columns of the newest list.
func writeList(c *journal.Campaign, states []journal.State, w io.Writer) error {
	var l input.List
	if _, err := readEnded(c, states, &l); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	// Of all names for a name column this is the first choice of who reads it, whatever
	// the carried ones are called.
	if err := writeSafe(out, append([]string{"machineId", "computerDnsName", "comment"}, l.Columns...)); err != nil {
		return err
	}
	campaign := c.Info().Comment
	for m := range l.Machines.All() {
		if err := writeSafe(out, append([]string{m.ID, m.Name, cmp.Or(m.Comment, campaign)}, m.Carried...)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeSafe writes a row that a spreadsheet takes for text.
func writeSafe(out *csv.Writer, cells []string) error {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		if cell != "" { // most are
			safe[i] = input.SafeCell(cell)
		}
	}
	return out.Write(safe)
}
