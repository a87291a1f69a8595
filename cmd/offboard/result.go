package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"offboard/journal"
)

// result is what run, resume and status print with --output json: a written
// contract (docs/json-output.md). New fields may be added; none is renamed or
// given another meaning.
type result struct {
	Campaign       string         `json:"campaign"`
	Ticket         string         `json:"ticket,omitempty"`
	TenantID       string         `json:"tenant_id"`
	Journal        string         `json:"journal"`
	List           listResult     `json:"list"`
	Counts         map[string]int `json:"counts"`
	AlreadySettled int            `json:"already_settled"`
	Calls          callsResult    `json:"calls"`
	StartedAt      *time.Time     `json:"started_at"`
	EndedAt        *time.Time     `json:"ended_at"`
	ExitCode       *int           `json:"exit_code"`
	ExitReason     string         `json:"exit_reason"`
	Chain          journal.Chain  `json:"chain"`
	Waiting        *waitingResult `json:"waiting,omitempty"` // of follow
	Aborted        *abortion      `json:"aborted,omitempty"`
	Running        *running       `json:"running,omitempty"` // while a process is at work
	Waves          *wavesResult   `json:"waves,omitempty"`
	Policy         *policyMark    `json:"policy,omitempty"` // that the list was judged by

	where  []string // the flags that name the journal's cloud
	config []string // and those that name the configuration
	ended  bool     // what it describes has just ended, and can be reported on
}

type listResult struct {
	Path       string `json:"path"`
	SHA256     string `json:"sha256"`
	Machines   int    `json:"machines"`
	Duplicates int    `json:"duplicates"`
	BadRows    int    `json:"bad_rows"`
}

type callsResult struct {
	Sent      int64 `json:"sent"`
	Throttled int64 `json:"throttled"`
}

// lastRun is what the journal keeps of a campaign's last run, for status. A run
// that was killed has begun and not ended.
type lastRun struct {
	AlreadySettled int         `json:"already_settled"`
	Calls          callsResult `json:"calls"`
	StartedAt      time.Time   `json:"started_at"`
	EndedAt        time.Time   `json:"ended_at,omitzero"`
	ExitCode       exitCode    `json:"exit_code"`
	ExitReason     string      `json:"exit_reason,omitempty"`
	Terms          runTerms    `json:"terms"`
	Ledger         *ledgerNote `json:"ledger,omitempty"` // as the run has left it; nil: not on the disk for certain
}

// lastRunOf is what a campaign keeps of its last run; nil if it never ran.
func lastRunOf(i journal.Info) (*lastRun, error) {
	if len(i.LastRun) == 0 {
		return nil, nil //nolint:nilnil // it never ran
	}
	last := new(lastRun)
	if err := json.Unmarshal(i.LastRun, last); err != nil {
		return nil, fmt.Errorf("the last run of campaign %s: %w", i.Name, err)
	}
	return last, nil
}

// resultOf describes a campaign as the journal has it.
func resultOf(j *journal.Journal, c *journal.Campaign) (result, journal.Counts, error) {
	info := c.Info()
	counts, err := c.Counts()
	if err != nil {
		return result{}, counts, err
	}
	chain, err := j.Chain()
	if err != nil {
		return result{}, counts, err
	}
	agreed, err := rulesOf(info)
	if err != nil {
		return result{}, counts, err
	}
	r := result{
		Campaign: info.Name, Ticket: agreed.Ticket, Aborted: agreed.Aborted, Policy: agreed.Policy,
		TenantID: j.Tenant().ID, Journal: j.Path(), Chain: chain,
		List: listResult{
			Path: info.List.Path, SHA256: info.List.SHA256, Machines: counts.Total(),
			Duplicates: info.List.Duplicates, BadRows: info.List.BadRows,
		},
		Counts: map[string]int{},
		where:  cloudFlags(j.Tenant().Cloud),
	}
	for _, state := range journal.States() {
		r.Counts[state.String()] = counts.Of(state)
	}
	if r.Waves, err = wavesOf(c, agreed.Waves); err != nil {
		return r, counts, err
	}
	last, err := lastRunOf(info)
	if last != nil {
		r.describe(*last)
	}
	return r, counts, err
}

func (r *result) describe(last lastRun) {
	r.AlreadySettled, r.Calls = last.AlreadySettled, last.Calls
	r.StartedAt = &last.StartedAt
	if last.EndedAt.IsZero() {
		r.ExitReason = "the run has not ended, or was killed; resumable"
		return
	}
	code := int(last.ExitCode)
	r.EndedAt, r.ExitCode, r.ExitReason = &last.EndedAt, &code, last.ExitReason
}

// stateCounts is [journal.Counts], or what another process has told of them.
type stateCounts interface {
	Of(s journal.State) int
	Total() int
}

// counted are the counts of a result.
type counted map[string]int

func (c counted) Of(s journal.State) int { return c[s.String()] }

func (c counted) Total() (n int) {
	for _, count := range c {
		n += count
	}
	return n
}

// writeJSON writes v as people's texts are: with <, > and & as they stand.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (r result) write(w io.Writer, form string, counts stateCounts, resume string) error {
	if form == "json" {
		return writeJSON(w, r)
	}
	words := lastWords(r, counts)
	next := r.next(counts, resume)
	if r.Waiting != nil && counts.Of(journal.Accepted) > 0 {
		words += "\nWaiting for: " + r.Waiting.words() + "."
	}
	if r.Waves != nil {
		words += "\n" + r.Waves.words()
	}
	if r.Aborted != nil {
		words += "\n" + r.Aborted.words()
	}
	if next != "" && r.Running == nil {
		words += "\nNext: " + next
	}
	if r.ended {
		words += "\nReport: " + r.command("report") + " --format html -o report.html"
	}
	_, err := fmt.Fprintln(w, words)
	return err
}

// writeChain ends what a person reads with the state of the log, so that a copy
// of it exists that the journal's owner does not hold.
func writeChain(w io.Writer, form string, c journal.Chain) error {
	if form == "json" {
		return nil // it is in the object
	}
	_, err := fmt.Fprintf(w, "Log: %s, head %s\n", plural(int(c.Length), "event"), c) //nolint:gosec // counts events
	return err
}

// lastWords never read as done when the campaign is not.
func lastWords(r result, c stateCounts) string {
	parts := make([]string, 0, 8)
	add := func(state journal.State, words string, always bool) {
		if n := c.Of(state); n > 0 || always {
			parts = append(parts, grouped(n)+" "+words)
		}
	}
	add(journal.Succeeded, "offboarded", false)
	add(journal.Accepted, "accepted by the service, not yet offboarded", c.Of(journal.Succeeded) == 0)
	add(journal.Planned, "not sent yet", false)
	add(journal.Failed, "failed", false)
	add(journal.TimedOut, "timed out", false)
	add(journal.Cancelled, "cancelled", false)
	add(journal.Rejected, "rejected", true)
	add(journal.InDoubt, "in doubt", true)
	add(journal.Sending, "cut off while being sent", false)
	add(journal.Excluded, "left out", false)
	return fmt.Sprintf("Campaign %s, %s: %s.", r.Campaign, plural(c.Total(), "machine"), strings.Join(parts, "; "))
}

// next is nextStep for a campaign that may have waves, or be aborted.
func (r result) next(counts stateCounts, resume string) string {
	if r.Waves != nil {
		if n := r.Waves.unconfirmed(); n > 0 && !strings.Contains(resume, "--approve-wave") {
			resume += fmt.Sprintf(" --approve-wave=%d", n)
		}
	}
	if r.Aborted != nil {
		resume = r.command("cancel") + " " + commandLine("--reason", r.Aborted.Reason)
	}
	return nextStep(r, counts, resume)
}

// nextStep is what takes the campaign further.
func nextStep(r result, c stateCounts, resume string) string {
	switch {
	case c.Of(journal.Planned)+c.Of(journal.Sending) > 0 && r.Aborted == nil:
		return resume
	case c.Of(journal.InDoubt) > 0:
		return resume + ", which asks the service again; or 'offboard resolve' with your own verdict"
	}
	var steps []string
	if c.Of(journal.Accepted) > 0 {
		steps = append(steps, r.command("follow"))
	}
	if c.Of(journal.Rejected) > 0 {
		steps = append(steps, "the reasons: "+commandLine(append([]string{"offboard", "status", "--verbose", "--campaign", r.Campaign, "--journal", r.Journal}, r.config...)...))
	}
	if again := r.retryCommand(c); again != "" {
		steps = append(steps, "when what keeps them is mended, they are sent again by: "+again)
	}
	return strings.Join(steps, "; ")
}

// retryCommand is the command line that sends again what ended badly; "" if nothing
// did. What was cancelled was not meant to be sent.
func (r result) retryCommand(c stateCounts) string {
	var ends []string
	for _, state := range []journal.State{journal.Rejected, journal.Failed, journal.TimedOut} {
		if c.Of(state) > 0 {
			ends = append(ends, state.String())
		}
	}
	if len(ends) == 0 {
		return ""
	}
	args := []string{"offboard", "run", "--retry", strings.Join(ends, ","), "--retry-of", r.Campaign, "--journal", r.Journal, "--tenant", r.TenantID}
	return commandLine(append(args, r.where...)...)
}

// command is the command line of a command that goes on with the campaign.
func (r result) command(name string) string {
	args := []string{"offboard", name, "--campaign", r.Campaign, "--journal", r.Journal, "--tenant", r.TenantID}
	return commandLine(append(append(args, r.where...), r.config...)...)
}
