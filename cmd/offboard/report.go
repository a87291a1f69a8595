package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/journal"
	"offboard/runner"
)

// reportForms write a report, by the name of the format, which is also the
// extension of a file.
var reportForms = map[string]func(*campaignReport, io.Writer) error{
	"csv": (*campaignReport).writeCSV, "json": (*campaignReport).writeJSON,
	"html": (*campaignReport).writeHTML, "md": (*campaignReport).writeMarkdown,
}

// formOf is the format that a file's name asks for, "" if none.
func formOf(path string) string {
	ext := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
	if reportForms[ext] == nil {
		return ""
	}
	return ext
}

func formWords() string {
	return strings.Join(slices.Sorted(maps.Keys(reportForms)), ", ")
}

type reportFlags struct {
	offlineFlags
	format, out, verification, only string
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write what became of a campaign, for those who ask later",
		Long: `Writes a report of a campaign from the journal alone: totals that add up, every
machine with what was sent and answered, what was not touched and why, who said
what, and how the limits were used. It is refused with 8 while a run holds the
journal.

The HTML report is one file that opens without a network; the JSON follows
docs/report.schema.json; CSV has the machines only. With --only the machines of
some states are written as a list that 'offboard run' takes.`,
		Example: `  offboard report --campaign retired-laptops -o report.html
  offboard report --campaign retired-laptops --verification verified.json -o report.json
  offboard report --campaign retired-laptops --only rejected,failed -o again.csv`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.report(&f) },
	}
	fs := cmd.Flags()
	f.bind(fs)
	fs.StringVar(&f.format, "format", "", "csv, json, html or md (default: by the extension of -o, else md)")
	fs.StringVarP(&f.out, "out", "o", "", "write to this `file` instead of stdout")
	fs.StringVar(&f.verification, "verification", "", "join what 'offboard verify --output json' has written to this `file`")
	fs.StringVar(&f.only, "only", "", "write a list of the machines in these `states` instead, such as rejected,failed; as CSV")
	return cmd
}

func (f *reportFlags) form() (string, error) {
	form := f.format
	if form == "" {
		form = formOf(f.out)
	}
	switch {
	case f.only != "" && f.verification != "":
		return "", usageError("--only writes a list, which has no --verification")
	case f.only != "" && form != "" && form != "csv":
		return "", usageError("--only writes a list as CSV, not as %s", form)
	case f.only != "":
		return "csv", nil
	case form == "" && f.out != "":
		return "", usageError("which format is %s? give --format, one of %s", f.out, formWords())
	case form == "":
		return "md", nil
	case reportForms[form] == nil:
		return "", usageError("--format %q is not one of %s", form, formWords())
	}
	return form, nil
}

func (a *app) report(f *reportFlags) error {
	form, err := f.form()
	if err != nil {
		return err
	}
	states, err := f.states()
	if err != nil {
		return err
	}
	j, err := a.openOffline(&f.offlineFlags, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	c, err := chooseCampaign(j, f.campaign, unfinished...)
	if err != nil {
		return err
	}
	if len(states) > 0 {
		return a.writeReport(j, f.out, func(w io.Writer) error { return writeList(c, states, w) })
	}
	v, err := readVerification(f.verification, c.Info().Name)
	if err != nil {
		return err
	}
	r, err := readReport(j, c, v)
	if err != nil {
		return err
	}
	return a.writeReport(j, f.out, func(w io.Writer) error { return reportForms[form](r, w) })
}

// writeReport writes to a file, whole or not at all, or to stdout.
func (a *app) writeReport(j *journal.Journal, path string, write func(io.Writer) error) error {
	buffered := func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<16)
		return errors.Join(write(b), b.Flush())
	}
	if path == "" {
		out := a.raw.stdout
		if a.raw.display {
			out = a.env.stdout
		}
		return buffered(out)
	}
	if err := spareJournal(path, j.Path()); err != nil {
		return err
	}
	return replaceFileBy(path, buffered)
}

// spareJournal refuses to write over the journal.
func spareJournal(path, kept string) error {
	out, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // there is nothing to be lost, or writing tells
	}
	if known, err := os.Stat(kept); err == nil && os.SameFile(out, known) {
		return usageError("%s is the journal itself", path)
	}
	return nil
}

// readVerification reads what verify has printed of the campaign; nil without a file.
func readVerification(path, campaign string) (*reportedVerification, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // nobody has verified
	}
	b, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, usageError("--verification: %w", err)
	}
	var v verification
	if err := json.Unmarshal(b, &v); err != nil || v.VerifiedAt.IsZero() {
		return nil, usageError("--verification: %s is not what 'offboard verify --output json' writes", path)
	}
	if v.Campaign != campaign {
		return nil, usageError("--verification: %s is of campaign %q, not of %q", path, v.Campaign, campaign)
	}
	r := &reportedVerification{planSource{path, sumOf(b)}, v.VerifiedAt, v.Counts, map[string]runner.Verified{}}
	for _, m := range v.Machines {
		r.byID[m.MachineID] = m
	}
	return r, nil
}

// reportFlag has a run leave its campaign's report.
type reportFlag struct{ report string }

func (f *reportFlag) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.report, "report", "", "at the end, whatever it is, write the campaign's report to this `file`: .html, .json, .csv or .md")
}

// validate refuses what could not be written in the end.
func (f *reportFlag) validate() error {
	if f.report == "" {
		return nil
	}
	if formOf(f.report) == "" {
		return usageError("--report %s has none of the extensions %s", f.report, formWords())
	}
	if dir, err := os.Stat(filepath.Dir(f.report)); err != nil || !dir.IsDir() {
		return usageError("--report %s: there is no such directory", f.report)
	}
	return nil
}

// leaveReport writes the report that the run was asked for.
func (s *session) leaveReport(c *journal.Campaign) error {
	if s.reportTo == "" {
		return nil
	}
	r, err := readReport(s.journal, c, nil)
	if err == nil {
		err = s.app.writeReport(s.journal, s.reportTo, func(w io.Writer) error { return reportForms[formOf(s.reportTo)](r, w) })
	}
	if err != nil {
		return fmt.Errorf("the report %s was not written: %w", s.reportTo, err)
	}
	s.app.log.Info().Str("report", s.reportTo).Msg("report written")
	return nil
}
