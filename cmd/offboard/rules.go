package main

import (
	"encoding/json"
	"errors"

	"offboard/journal"
)

// rules are what a campaign was begun under. They are kept in the journal, and
// a later run of the campaign may only tighten them.
type rules struct {
	Max int `json:"max,omitempty"` // 0: no bound
	// Ticket is fixed once the campaign has begun.
	Ticket              string `json:"ticket,omitempty"`
	IncludeNotOnboarded bool   `json:"include_not_onboarded,omitempty"`
	// NewJournal: a person said that no other host has worked on the tenant,
	// or took the risk. It is asked for once.
	NewJournal bool      `json:"new_journal,omitempty"`
	Aborted    *abortion `json:"aborted,omitempty"` // nil: it may go on
	// Plan is what the campaign was begun from, if not from a list.
	Plan planMark `json:"plan,omitzero"`
	// Policy is what the machines that were let through were judged by beside
	// these rules; nil for none.
	Policy *policyMark `json:"policy,omitempty"`
	guardRules
	Waves *waveRules `json:"waves,omitempty"`
}

func rulesOf(i journal.Info) (rules, error) {
	var r rules
	if len(i.Rules) == 0 {
		return r, nil
	}
	return r, json.Unmarshal(i.Rules, &r)
}

// changeRules changes a campaign's rules as they are kept in the journal.
func changeRules(c *journal.Campaign, change func(*rules)) error {
	return c.Update(func(i *journal.Info) error {
		r, err := rulesOf(*i)
		if err != nil {
			return err
		}
		change(&r)
		i.Rules, err = json.Marshal(r)
		return err
	})
}

// tightened combines the campaign's rules with those of this run's flags.
func (r rules) tightened(now rules) (rules, error) {
	if now.IncludeNotOnboarded && !r.IncludeNotOnboarded {
		return r, usageError("the campaign was begun without --include-not-onboarded; a later run may only tighten its rules")
	}
	if r.Plan.SHA256 != "" && now.Plan.SHA256 == "" {
		return r, &commandError{code: exitUsage, hint: "offboard resume, or plan again for this campaign",
			err: errors.New("the campaign was begun from a plan, and a list is none; a later run may only tighten its rules")}
	}
	if r.Max > 0 && now.Max > r.Max {
		return r, usageError("the campaign was begun with --max %d; a later run may only tighten it", r.Max)
	}
	if now.Max == 0 {
		now.Max = r.Max
	}
	now.NewJournal = now.NewJournal || r.NewJournal
	var err error
	if now.Ticket, err = fixedTicket(r.Ticket, now.Ticket); err != nil {
		return r, err
	}
	if now.guardRules, err = r.guardRules.tightened(now.guardRules); err == nil {
		now.Waves, err = r.Waves.kept(now.Waves)
	}
	return now, err
}
