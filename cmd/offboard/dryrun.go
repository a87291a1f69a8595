package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"offboard/input"
	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// rehearsal is what --dry-run prints with --output json.
type rehearsal struct {
	DryRun       bool        `json:"dry_run"`
	Campaign     string      `json:"campaign"`
	TenantID     string      `json:"tenant_id"`
	Journal      string      `json:"journal"`
	WouldSend    []string    `json:"would_send"`
	SendAgain    []ended     `json:"would_send_again"` // of these, on a person's word
	EndedBefore  []ended     `json:"ended_before"`     // of these, in another campaign
	LeftOut      []leftOut   `json:"left_out"`
	Duplicates   int         `json:"duplicates"`
	BadRows      int         `json:"bad_rows"`
	TenantListed bool        `json:"tenant_listed"`
	EndsAt       time.Time   `json:"ends_at"`
	Policy       *policyMark `json:"policy,omitempty"`
	// Drifted are of those left out; see [plan.check].
	Drifted []runner.Drift `json:"drifted,omitempty"`
	// Waves are in the order in which they would be sent.
	Waves []plannedWave `json:"waves,omitempty"`
}

// ended is a machine that would be sent although it has ended in a campaign.
type ended struct {
	MachineID string    `json:"machine_id"`
	State     string    `json:"state"`
	Campaign  string    `json:"campaign"` // "" where only the tenant knows
	Since     time.Time `json:"since"`
}

func endedOf(all []known) []ended {
	out := []ended{}
	for _, k := range all {
		out = append(out, ended{k.machine.ID, k.State.String(), k.Campaign, k.Updated.UTC()})
	}
	return out
}

// leftOut is a machine that would not be sent, and why.
type leftOut struct {
	MachineID string `json:"machine_id"`
	Reason    string `json:"reason"`
	Campaign  string `json:"campaign,omitempty"`
}

// dryRun does everything that a run does before its first write, and fails
// after it has shown what would happen if a guard refuses it.
func (a *app) dryRun(ctx context.Context, list *input.List, f *runFlags) error {
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{ReadOnly: true}, true)
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
	waves := p.forecast(s.calls.Forecast, time.Now())
	takes := s.calls.Forecast(p.send.Len())
	if n := len(waves); n > 0 {
		takes = time.Until(waves[n-1].EndsAt)
	}
	r := rehearsal{
		DryRun: true, Campaign: f.campaign, TenantID: s.tenant.ID, Journal: s.path,
		WouldSend: []string{}, SendAgain: endedOf(p.again), EndedBefore: endedOf(p.before), LeftOut: leftOuts(p), TenantListed: !p.blind,
		Duplicates: list.Duplicates, BadRows: list.BadRows, EndsAt: time.Now().Add(takes).UTC().Truncate(time.Second),
		Drifted: p.drifted, Waves: waves, Policy: p.policy.mark(),
	}
	for m := range p.send.All() {
		r.WouldSend = append(r.WouldSend, m.ID)
	}
	if f.output == "json" {
		err = json.NewEncoder(a.env.stdout).Encode(r)
	} else {
		err = r.write(a.env.stdout, p.send, p.renewedWords(), takes)
	}
	if err != nil {
		return err
	}
	return p.check(list, f)
}

func leftOuts(p plan) []leftOut {
	out := []leftOut{}
	for _, m := range p.leftOut {
		out = append(out, leftOut{m.ID, m.reason, ""})
	}
	for _, k := range slices.Concat(p.settled, p.doubted, p.ended) {
		out = append(out, leftOut{k.MachineID, k.State.String(), k.Campaign})
	}
	for _, m := range p.adopted {
		out = append(out, leftOut{m.ID, "the tenant has an action for it", ""})
	}
	for _, st := range p.leaving {
		out = append(out, leftOut{st.MachineID, "left the list", ""})
	}
	return out
}

func (r rehearsal) write(w io.Writer, send input.Machines, words string, takes time.Duration) error {
	var b strings.Builder
	before := map[string]string{}
	for _, e := range r.EndedBefore {
		before[e.MachineID] = "  " + strings.TrimSpace(e.State+" before in "+e.Campaign)
	}
	for _, e := range r.SendAgain {
		before[e.MachineID] = "  again, " + strings.TrimSpace(e.State+" "+e.Campaign)
	}
	for m := range send.All() {
		fmt.Fprintf(&b, "would send  %s  %q%s\n", m.ID, m.Name, before[m.ID])
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(&b, "left out    %s  %s\n", l.MachineID, strings.TrimSpace(l.Reason+" "+l.Campaign))
	}
	for _, wave := range r.Waves {
		fmt.Fprintf(&b, "wave %-6d %s  ends %s at the earliest\n", wave.Wave, plural(wave.Machines, "machine"), wave.EndsAt.Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "Dry run of campaign %s: %s would be sent, in %s under the limits (at the earliest %s); %s left out; %s merged, %s bad.\n",
		r.Campaign, plural(len(r.WouldSend), "machine"), takes.Round(time.Second), r.EndsAt.Format(time.RFC3339),
		grouped(len(r.LeftOut)), plural(r.Duplicates, "duplicate"), plural(r.BadRows, "row"))
	b.WriteString(words)
	fmt.Fprintf(&b, "The journal would be %s. Nothing was sent and nothing was written.\n", r.Journal)
	_, err := io.WriteString(w, b.String())
	return err
}
