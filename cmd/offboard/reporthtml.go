package main

import (
	"crypto/sha256"
	_ "embed" // of the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"iter"
)

var (
	//go:embed report/report.html.tmpl
	reportPage string
	//go:embed report/report.css
	reportStyle string
	//go:embed report/report.js
	reportScript string

	reportTemplate = template.Must(template.New("report").Parse(reportPage))
)

// reportPolicy lets the page use the style and the script that it brings, and reach
// for nothing at all.
func reportPolicy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(reportStyle) + "; script-src " + hash(reportScript) + "; base-uri 'none'; form-action 'none'"
}

// reportedPage is what the template shows.
type reportedPage struct {
	Report           *campaignReport
	Policy           string
	Style            template.CSS
	Script           template.JS
	Machines, MadeAt string
	Outcomes         outcomeChart
	Calls            *callChart // nil: no call was made
	Sections         []section
	Head             []string
	Rows             iter.Seq[[]string]
}

// writeHTML writes one page that needs no other file. What lists and answers say goes
// in as text alone.
func (r *campaignReport) writeHTML(w io.Writer) error {
	var failed error
	err := reportTemplate.Execute(w, reportedPage{
		Report: r, Policy: reportPolicy(), Style: template.CSS(reportStyle), Script: template.JS(reportScript), //nolint:gosec // our own files
		Machines: plural(r.Totals.Machines, "machine"), MadeAt: inUTC(r.MadeAt),
		Outcomes: r.outcomes(), Calls: r.callsChart(), Sections: r.sections(), Head: r.heading(),
		Rows: func(yield func([]string) bool) {
			for m, err := range r.machines {
				if err != nil {
					failed = err
					return
				}
				if !yield(r.cells(m)) {
					return
				}
			}
		},
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
