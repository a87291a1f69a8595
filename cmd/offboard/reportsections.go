package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"offboard/journal"
)

// sections are the report but for its machines; what has nothing to say is left out.
func (r *campaignReport) sections() []section {
	all := []section{r.totalsSection(), r.untouchedSection(), r.provenance(), r.runsSection(), r.limitsSection()}
	all = append(all,
		overridesSection(r.Overrides),
		wordsSection("Verdicts on machines in doubt", r.Verdicts),
		wordsSection("Authorised to be sent again", r.Authorisations),
		r.verificationSection())
	var some []section
	for _, s := range all {
		if len(s.Rows) > 0 {
			some = append(some, s)
		}
	}
	return some
}

func (r *campaignReport) totalsSection() section {
	s := section{Title: "What became of the machines", Head: []string{"state", "machines"}}
	for _, st := range journal.States() {
		s.Rows = append(s.Rows, []string{st.String(), grouped(r.Totals.ByState[st.String()])})
	}
	s.Rows = append(s.Rows, []string{"all machines", grouped(r.Totals.Machines)})
	s.Note = fmt.Sprintf("The states add up to all machines. A request was begun for %s; %s not touched. Of the rows of the list, %s merged and %s skipped.",
		grouped(r.Totals.Touched), wereSo(r.Totals.NotTouched), wereSo(r.List.Duplicates), wereSo(r.List.BadRows))
	return s
}

// wereSo is a number with its verb.
func wereSo(n int) string {
	if n == 1 {
		return "1 was"
	}
	return grouped(n) + " were"
}

func (r *campaignReport) untouchedSection() section {
	s := section{Title: "What was not touched, and why", Head: []string{"machines", "state", "why"}}
	for _, u := range r.Untouched {
		s.Rows = append(s.Rows, []string{grouped(u.Machines), u.State, u.Why})
	}
	return s
}

// provenance is who did what with which files.
func (r *campaignReport) provenance() section {
	s := section{Title: "Who, and with what", Head: []string{"what", "which"}}
	add := func(what string, which ...string) {
		which = slices.DeleteFunc(which, func(s string) bool { return s == "" })
		if text := strings.Join(which, ", "); text != "" {
			s.Rows = append(s.Rows, []string{what, text})
		}
	}
	file := func(what string, f planSource) {
		if f.Path != "" {
			s.Rows = append(s.Rows, []string{what, f.Path}, []string{what + ", SHA-256", orUnknown(f.SHA256)})
		}
	}
	add("ticket", r.Ticket)
	add("comment", r.Comment)
	add("begun", inUTC(r.CreatedAt), "by "+r.CreatedBy)
	add("tenant", r.TenantID, r.Cloud)
	file("list", r.List.planSource)
	if r.Plan != nil {
		add("plan, SHA-256", r.Plan.SHA256)
		add("plan approved by", cmp.Or(r.Plan.ApprovedBy, "nobody"))
	}
	if r.Policy != nil {
		file("policy", *r.Policy)
	}
	for _, f := range r.Excludes {
		file("machines to leave out", f)
	}
	add("rules", string(r.Rules))
	if r.Aborted != nil {
		add("given up", inUTC(r.Aborted.At), "by "+r.Aborted.By, r.Aborted.Reason)
	}
	add("journal", r.Journal)
	add("log", r.Chain.String())
	add("report made", inUTC(r.MadeAt), "by "+r.MadeBy, "offboard "+r.Version)
	return s
}

func orUnknown(what string) string { return cmp.Or(what, "not known") }

func (r *campaignReport) runsSection() section {
	s := section{Title: "Runs", Head: []string{"began", "ended", "operator", "app", "version", "exit code", "why", "calls", "429"}}
	for _, run := range r.Runs {
		ended, code := inUTC(run.EndedAt), fmt.Sprint(int(run.ExitCode))
		if run.EndedAt.IsZero() {
			ended, code = "not, or was killed", ""
		}
		s.Rows = append(s.Rows, []string{
			inUTC(run.StartedAt), ended, run.By, orUnknown(run.Terms.AppID), orUnknown(run.Terms.Version), code, run.ExitReason,
			grouped(int(run.Calls.Sent)), grouped(int(run.Calls.Throttled)),
		})
	}
	return s
}

func (r *campaignReport) limitsSection() section {
	s := section{
		Title: "How the limits were used", Head: []string{"rolling window", "limit", "most calls of this campaign", "most with other campaigns of the journal"},
		Note: fmt.Sprintf("%s reached the service or may have; of these %s answered 429, which do not count. %s to cancel.",
			plural(r.Calls.Sent, "request"), wereSo(r.Calls.Throttled), plural(r.Calls.CancelCalls, "request")),
	}
	for _, w := range r.Calls.Windows {
		name := map[int]string{60: "a minute", 3600: "an hour"}[w.Seconds]
		limit := "not known"
		if w.Limit > 0 {
			limit = grouped(w.Limit)
		}
		s.Rows = append(s.Rows, []string{name, limit, grouped(w.Campaign), grouped(w.Journal)})
	}
	return s
}

func overridesSection(all []override) section {
	s := section{Title: "Overrides", Head: []string{"at", "by", "what"}}
	for _, o := range all {
		s.Rows = append(s.Rows, []string{inUTC(o.At), o.By, o.What})
	}
	return s
}

func wordsSection(title string, all []spoken) section {
	s := section{Title: title, Head: []string{"machine", "at", "by", "from", "to", "why"}}
	for _, w := range all {
		s.Rows = append(s.Rows, []string{w.MachineID, inUTC(w.At), w.By, w.From, w.To, w.Reason})
	}
	return s
}

func (r *campaignReport) verificationSection() section {
	s := section{Title: "Verified in the inventory", Head: []string{"finding", "machines"}}
	v := r.Verification
	if v == nil {
		return s
	}
	s.Note = fmt.Sprintf("At %s, by a file with the SHA-256 %s.", inUTC(v.VerifiedAt), v.SHA256)
	for _, f := range findings {
		s.Rows = append(s.Rows, []string{f.words, grouped(v.Counts[f.finding])})
	}
	return s
}
