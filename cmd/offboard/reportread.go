package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// readReport makes a campaign's report of its journal alone. Of the machines it keeps
// no more than their order: they are read once more while they are written.
func readReport(j *journal.Journal, c *journal.Campaign, v *reportedVerification) (*campaignReport, error) {
	info := c.Info()
	agreed, err := rulesOf(info)
	if err != nil {
		return nil, err
	}
	r := &campaignReport{
		Schema: reportSchema, MadeAt: time.Now().UTC().Truncate(time.Second), MadeBy: operator(), Version: versionString(),
		Campaign: info.Name, Ticket: agreed.Ticket, Comment: info.Comment, CreatedAt: info.Created, CreatedBy: info.Operator,
		TenantID: j.Tenant().ID, Cloud: j.Tenant().Cloud, Journal: j.Path(),
		List:  planList{planSource{info.List.Path, info.List.SHA256}, info.List.Duplicates, info.List.BadRows},
		Rules: info.Rules, Aborted: agreed.Aborted, Verification: v,
		columns: c.Columns(),
	}
	if agreed.Plan.SHA256 != "" {
		r.Plan = &agreed.Plan
	}
	if p := agreed.Policy; p != nil {
		r.Policy = &planSource{p.Path, p.SHA256}
	}
	if r.Chain, err = j.Chain(); err != nil {
		return nil, err
	}
	h, err := readHistory(j, info.Name)
	if err != nil {
		return nil, err
	}
	h.tell(r, agreed)
	return r, r.count(c, h.finals)
}

// count reads every machine once for the totals, and lets them be read again in the
// order of the list.
func (r *campaignReport) count(c *journal.Campaign, finals map[string]time.Time) error {
	type place struct {
		row int
		id  string
	}
	var order []place
	why := map[untouched]int{}
	r.Totals = reportTotals{ByState: map[string]int{}}
	for _, st := range journal.States() {
		r.Totals.ByState[st.String()] = 0
	}
	for e, err := range c.Entries() {
		if err != nil {
			return err
		}
		order = append(order, place{e.Row, e.MachineID})
		if reason := r.Totals.add(e, r.Aborted != nil); reason != "" {
			why[untouched{State: e.State.String(), Why: reason}]++
		}
	}
	slices.SortStableFunc(order, func(a, b place) int { return cmp.Compare(a.row, b.row) })
	r.Untouched = []untouched{}
	for u, n := range why {
		u.Machines = n
		r.Untouched = append(r.Untouched, u)
	}
	slices.SortFunc(r.Untouched, func(a, b untouched) int {
		return cmp.Or(cmp.Compare(b.Machines, a.Machines), cmp.Compare(a.State, b.State), cmp.Compare(a.Why, b.Why))
	})
	r.machines = func(yield func(reportedMachine, error) bool) {
		for _, p := range order {
			e, err := c.Entry(p.id)
			if !yield(r.machine(e, finals[p.id]), err) || err != nil {
				return
			}
		}
	}
	return nil
}

// add counts a machine, and says why it was not touched.
func (t *reportTotals) add(e journal.Entry, aborted bool) string {
	t.Machines++
	t.ByState[e.State.String()]++
	if e.SettledBy != "" {
		t.Elsewhere++
	} else if e.Origin == journal.Adopted {
		t.Adopted++
	}
	why := whyUntouched(e, aborted)
	if why == "" {
		t.Touched++
	} else {
		t.NotTouched++
	}
	return why
}

// whyUntouched is "" for a machine that the campaign has begun a request for.
func whyUntouched(e journal.Entry, aborted bool) string {
	switch {
	case e.Attempts > 0:
		return ""
	case e.SettledBy != "":
		return "campaign " + e.SettledBy + " has sent it"
	case e.State == journal.Excluded:
		return cmp.Or(e.Reason, "left out")
	case e.Origin == journal.Adopted:
		return "somebody else had asked for it"
	case e.State == journal.Planned && aborted:
		return "the campaign was given up"
	case e.State == journal.Planned:
		return "not sent yet"
	default:
		return "this campaign has begun no request"
	}
}

func (r *campaignReport) machine(e journal.Entry, final time.Time) reportedMachine {
	m := reportedMachine{
		MachineID: e.MachineID, Name: e.Name, Row: e.Row, State: e.State.String(), NotTouched: whyUntouched(e, r.Aborted != nil),
		SettledBy: e.SettledBy, Comment: cmp.Or(e.Comment, r.Comment), Carried: e.Carried, Origin: e.Origin, Attempts: e.Attempts,
		ActionID: e.ActionID, SentAt: e.Sent, AnsweredAt: e.Answered, FinalAt: final, Error: e.Failure, Reason: e.Reason,
		Authorised: e.Authorised, Word: e.Word, Cancel: e.Cancel,
	}
	if m.Carried == nil {
		m.Carried = map[string]string{}
	}
	if e.SettledBy != "" {
		m.FinalAt = time.Time{}
		if e.State.Final() {
			m.FinalAt = e.Updated
		}
	}
	var a defender.MachineAction
	if json.Unmarshal(e.Action, &a) == nil { // what is no action was kept as it came
		m.ActionStatus, m.Requestor = a.Status, a.Requestor
	}
	if r.Verification != nil {
		if v, ok := r.Verification.byID[e.MachineID]; ok {
			m.Verified = &v
		}
	}
	return m
}
