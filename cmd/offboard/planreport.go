package main

import (
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
	EndedBefore  int           `json:"ended_before"`  // of the machines, those that did in another campaign
	InDoubt      int           `json:"in_doubt"`      // of those left out
	Waves        []plannedWave `json:"waves,omitempty"`
	Survey       runner.Survey `json:"survey"`
	Plan         planFile      `json:"plan"`

	width int // of the page; 0 for that of every terminal
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
	r.InDoubt = doubtful(k.LeftOut)
	surveyed := make([]runner.Surveyed, len(k.Machines))
	for i, m := range k.Machines {
		surveyed[i] = runner.Surveyed{Facts: m.Known, Owner: list.Value(m.row(), "owner")}
		if m.Offboarding != nil {
			r.EndedBefore++
		}
	}
	r.Survey = runner.SurveyOf(surveyed, now)
	return r
}
