package main

import (
	"strings"
	"time"

	"offboard/input"
	"offboard/runner"
)

// planReport is what plan prints: with --output json as it is.
type planReport struct {
	SHA256       string        `json:"plan_sha256,omitempty"` // none: not kept
	Run          string        `json:"run_command,omitempty"`
	Calls        int           `json:"calls"`
	StartsAt     time.Time     `json:"starts_at"` // at the earliest, as the quotas stand
	EndsAt       time.Time     `json:"ends_at"`
	Percent      float64       `json:"percent_of_tenant"`
	TenantListed bool          `json:"tenant_listed"` // false: what other hosts sent is not known
	Waves        []plannedWave `json:"waves,omitempty"`
	Survey       runner.Survey `json:"survey"`
	Plan         planFile      `json:"plan"`
}

func (s *session) report(k planFile, list *input.List, p plan) planReport {
	now := time.Now().UTC()
	r := planReport{
		Calls: len(k.Machines), TenantListed: !p.blind, Plan: k,
		StartsAt: now.Add(s.calls.Forecast(1)).Truncate(time.Second),
		EndsAt:   now.Add(s.calls.Forecast(len(k.Machines))).Truncate(time.Second),
		Waves:    p.forecast(s.calls.Forecast, now),
	}
	if n := len(r.Waves); n > 0 {
		r.EndsAt = r.Waves[n-1].EndsAt
	}
	if k.Onboarded > 0 {
		r.Percent = float64(len(k.Machines)) * 100 / float64(k.Onboarded)
	}
	surveyed := make([]runner.Surveyed, len(k.Machines))
	for i, m := range k.Machines {
		surveyed[i] = runner.Surveyed{Facts: m.Known, Owner: list.Value(m.row(), "owner")}
	}
	r.Survey = runner.SurveyOf(surveyed, now)
	return r
}

// planColumns are the columns of a plan's machines in CSV and Markdown.
var planColumns = []string{
	"machine_id", "name", "decision", "reason", "campaign", "os", "health", "onboarding", "last_seen", "tags", "group",
	"value", "managed_by", "merged_into", "potential_duplication", "comment",
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

func (m planMachine) cells(k planFile, decision string) []string {
	comment := m.Comment
	if comment == "" {
		comment = k.Comment
	}
	cells := []string{m.ID, m.Name, decision, m.Reason, m.Campaign}
	if f := m.Known; f == nil {
		cells = append(cells, "not seen", "", "", "", "", "", "", "", "", "")
	} else {
		seen, duplicate := "", ""
		if !f.LastSeen.IsZero() {
			seen = f.LastSeen.Format(time.RFC3339)
		}
		if f.PotentialDuplication {
			duplicate = "yes"
		}
		cells = append(cells, f.OSPlatform, f.Health, f.Onboarding, seen, strings.Join(f.Tags, "; "), f.Group,
			f.Value, f.ManagedBy, f.MergedInto, duplicate)
	}
	return append(cells, comment)
}
