package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"offboard/input"
	"offboard/journal"
	"offboard/limiter"
)

// rehearsal is what --dry-run prints with --output json.
type rehearsal struct {
	DryRun       bool      `json:"dry_run"`
	Campaign     string    `json:"campaign"`
	TenantID     string    `json:"tenant_id"`
	Journal      string    `json:"journal"`
	WouldSend    []string  `json:"would_send"`
	NotOnboarded int       `json:"not_onboarded"`
	Settled      int       `json:"already_settled"`
	InDoubt      int       `json:"in_doubt"`
	Ended        int       `json:"ended"`
	Duplicates   int       `json:"duplicates"`
	BadRows      int       `json:"bad_rows"`
	EndsAt       time.Time `json:"ends_at"`
}

// dryRun does everything that a run does before its first write.
func (a *app) dryRun(ctx context.Context, list *input.List, f *runFlags) error {
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.close()
	p, err := s.plan(ctx, list, f)
	if err != nil {
		return err
	}
	if err := s.openCalls(limiter.ReadLedger); err != nil {
		return err
	}
	takes := s.calls.Forecast(len(p.preview.send))
	r := rehearsal{
		DryRun: true, Campaign: f.campaign, TenantID: s.tenant.ID, Journal: s.path,
		WouldSend: []string{}, NotOnboarded: len(list.NotOnboarded), Settled: len(p.preview.settled),
		InDoubt: len(p.preview.doubted), Ended: len(p.preview.ended),
		Duplicates: list.Duplicates, BadRows: list.BadRows, EndsAt: time.Now().Add(takes).UTC().Truncate(time.Second),
	}
	for _, m := range p.preview.send {
		r.WouldSend = append(r.WouldSend, m.ID)
	}
	if f.output == "json" {
		return json.NewEncoder(a.env.stdout).Encode(r)
	}
	for _, m := range p.preview.send {
		if _, err := fmt.Fprintf(a.env.stdout, "would send  %s  %q\n", m.ID, m.Name); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.env.stdout, `Dry run of campaign %s: %s would be sent, in %s under the limits (at the earliest %s).
Left out: %s not onboarded, %s settled already, %s in doubt, %s ended in this campaign; %s merged, %s bad.
Nothing was sent and nothing was written.
`, r.Campaign, plural(len(r.WouldSend), "machine"), takes.Round(time.Second), r.EndsAt.Format(time.RFC3339),
		grouped(r.NotOnboarded), grouped(r.Settled), grouped(r.InDoubt), grouped(r.Ended), plural(r.Duplicates, "duplicate"), plural(r.BadRows, "row"))
	return err
}
