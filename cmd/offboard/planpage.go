package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"offboard/journal"
	"offboard/runner"
)

// line is one of the page that a change board reads.
type line struct{ what, text string }

// lines are the page: what, of which machines, what it risks, and how it is done.
func (r planReport) lines() []line {
	all := append(r.subject(), r.population()...)
	all = append(all, r.risks()...)
	all = append(all, r.schedule()...)
	k := r.Plan
	all = append(all,
		line{"To undo", "'offboard cancel' while an action is pending; afterwards by the onboarding script on each machine"},
		line{"Permissions", "Machine.Offboard, and Machine.Read.All to look again before the first call"},
		line{"Made by", k.MadeBy + " at " + k.MadeAt.Format(time.RFC3339)},
	)
	if r.SHA256 == "" {
		return append(all, line{"Plan", "not kept; -o FILE writes it"})
	}
	return append(all,
		line{"Expires", k.ExpiresAt.Format(time.RFC3339) + " unless it was begun before"},
		line{"SHA-256", r.SHA256},
	)
}

// subject says what is asked for.
func (r planReport) subject() []line {
	k := r.Plan
	source := k.List.Path
	if k.List.Duplicates+k.List.BadRows > 0 {
		source += fmt.Sprintf("; %s merged, %s skipped", plural(k.List.Duplicates, "duplicate"), plural(k.List.BadRows, "bad row"))
	}
	all := []line{
		{"Campaign", k.Campaign},
		{"Ticket", cmp.Or(k.Rules.Ticket, "none")},
		{"Comment", cmp.Or(k.Comment, "the list's, one for each machine")},
		{"Tenant", k.TenantID + " of " + k.Cloud},
		{"App", k.AppID},
		{"List", source},
		{"Rules", cmp.Or(strings.Join(k.Rules.words(), ", "), "none but that servers are left out")},
	}
	for _, file := range k.Files {
		all = append(all, line{"Leaves out", file.Path + ", SHA-256 " + file.SHA256})
	}
	return all
}

// words are the rules as flags.
func (r rules) words() (all []string) {
	flag := func(name string, values ...string) {
		for _, v := range values {
			all = append(all, strings.TrimSpace("--"+name+" "+v))
		}
	}
	is := func(name string, given bool, value string) {
		if given {
			flag(name, value)
		}
	}
	is("max", r.Max > 0, fmt.Sprint(r.Max))
	is("max-percent-of-tenant", r.MaxPercent > 0, fmt.Sprint(r.MaxPercent))
	flag("where", r.Where...)
	flag("require-tag", r.RequireTags...)
	flag("exclude-tag", r.ExcludeTags...)
	flag("os", r.OS...)
	flag("group", r.Groups...)
	is("only-inactive", r.OnlyInactive != "", r.OnlyInactive)
	is("include-servers", r.IncludeServers, "")
	is("include-not-onboarded", r.IncludeNotOnboarded, "")
	return all
}

// population says which machines they are.
func (r planReport) population() []line {
	k, s := r.Plan, r.Survey
	all := []line{
		{"Machines", fmt.Sprintf("%s to be sent, %.1f%% of the %s onboarded in the tenant", grouped(s.Machines), r.Percent, grouped(k.Onboarded))},
		{"Left out", grouped(len(k.LeftOut)) + reasonsOf(k.LeftOut)},
	}
	if s.Machines == 0 {
		return all
	}
	return append(all,
		line{"By OS", largest(s.ByOS)},
		line{"By group", largest(s.ByGroup)},
		line{"By owner", largest(s.ByOwner)},
		line{"Seen in 48 h", plural(s.SeenAwake, "machine") + "; these act within minutes, and what a machine has acted on cannot be taken back"},
		line{"Servers", grouped(s.Servers)},
		line{"High value", grouped(s.HighValue)},
	)
}

// risks are lines that a page has only where there is something to say.
func (r planReport) risks() (all []line) {
	s := r.Survey
	warn := func(n int, what, one, many string) {
		text := plural(n, "machine") + " "
		if n == 1 {
			text += one
		} else {
			text += many
		}
		if n > 0 {
			all = append(all, line{what, text})
		}
	}
	warn(s.NotSeen, "Not seen", "is not shown by the inventory: nothing is known of it", "are not shown by the inventory: nothing is known of them")
	warn(s.NotOnboarded, "Not onboarded", "has no sensor to stop, says the inventory", "have no sensor to stop, says the inventory")
	warn(s.Duplicates, "Duplicates", "is merged into another record, or may be one", "are merged into other records, or may be")
	warn(s.NotWindows, "Not Windows", "is not of Windows: the service may refuse it", "are not of Windows: the service may refuse them")
	warn(r.EndedBefore, "Ended before", "was asked for in another campaign, without success, and is sent again", "were asked for in other campaigns, without success, and are sent again")
	warn(r.InDoubt, "In doubt", "may have been sent already, and is left out: 'offboard resume' finds out", "may have been sent already, and are left out: 'offboard resume' finds out")
	if !r.TenantListed {
		all = append(all, line{"Warning", "what other hosts sent is not known: the tenant's actions cannot be listed"})
	}
	back := "no management service is known to hold these machines"
	if s.Managed > 0 {
		back = plural(s.Managed, "machine") + " managed by " + largest(s.ByManager) + ": its onboarding policy would put them back; take them out of it first"
	}
	return append(all, line{"Put back by", back})
}

// schedule says when it is done.
func (r planReport) schedule() []line {
	all := []line{{"Calls", fmt.Sprintf("%s; from %s to %s at the earliest", grouped(r.Calls), r.StartsAt.Format(time.RFC3339), r.EndsAt.Format(time.RFC3339))}}
	for _, w := range r.Waves {
		all = append(all, line{fmt.Sprintf("Wave %d", w.Wave), fmt.Sprintf("%s: %s, at the earliest until %s", w.Name, plural(w.Machines, "machine"), w.EndsAt.Format(time.RFC3339))})
	}
	if w := r.Plan.Rules.Waves; w != nil && len(r.Waves) > 1 {
		all = append(all, line{"Between waves", cmp.Or(strings.Join(w.terms(), ", "), "nothing is waited for")})
	}
	return all
}

// terms are what has to hold between waves.
func (t waveTerms) terms() (all []string) {
	if t.Pause > 0 {
		all = append(all, "a pause of "+time.Duration(t.Pause).String())
	}
	if t.UntilSucceeded > 0 {
		all = append(all, fmt.Sprintf("until %g%% have succeeded (%s after %s)", t.UntilSucceeded, t.OnTimeout, time.Duration(t.Timeout)))
	}
	if t.Confirm {
		all = append(all, "a person's confirmation")
	}
	return all
}

// doubtful counts machines of which nobody knows whether they were sent.
func doubtful(all []planMachine) (n int) {
	for _, m := range all {
		if o := m.Offboarding; o != nil && (o.State == journal.InDoubt.String() || o.State == journal.Sending.String()) {
			n++
		}
	}
	return n
}

// most is how many shares a page names.
const most = 5

func largest(shares []runner.Share) string { return strings.Join(shareWords(shares), ", ") }

func shareWords(shares []runner.Share) []string {
	var parts []string
	others := 0
	for i, s := range shares {
		if i >= most {
			others += s.Machines
			continue
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", orUnknown(s.Name), grouped(s.Machines)))
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("others (%s)", grouped(others)))
	}
	return parts
}

// reasonsOf counts why machines are left out.
func reasonsOf(out []planMachine) string {
	if len(out) == 0 {
		return ""
	}
	reasons := make([]string, len(out))
	for i, m := range out {
		reasons[i] = m.Reason
	}
	return ": " + strings.Join(shareWords(runner.SharesOf(reasons)), "; ")
}
