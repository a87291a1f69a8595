package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// undoing is a campaign that is being taken back, and what cancel and abort print
// of it with --output json.
type undoing struct {
	Campaign   string                      `json:"campaign"`
	TenantID   string                      `json:"tenant_id"`
	Journal    string                      `json:"journal"`
	Wave       int                         `json:"wave,omitempty"` // that was taken back alone
	DryRun     bool                        `json:"dry_run"`
	Reason     string                      `json:"reason"`
	Aborted    *abortion                   `json:"aborted,omitempty"`
	Results    map[runner.CancelResult]int `json:"results"`
	Counts     map[string]int              `json:"counts"`
	Machines   []runner.Undone             `json:"machines"`
	Calls      callsResult                 `json:"calls"`
	ExitCode   int                         `json:"exit_code"`
	ExitReason string                      `json:"exit_reason"`
	Chain      journal.Chain               `json:"chain"`

	session   *session
	campaign  *journal.Campaign
	canceller *runner.Canceller
	progress  *progress
}

func newUndoing(s *session, c *journal.Campaign, f *cancelFlags) *undoing {
	return &undoing{
		Campaign: c.Info().Name, TenantID: s.journal.Tenant().ID, Journal: s.journal.Path(),
		Wave: f.wave, DryRun: f.dryRun, Reason: f.reason, session: s, campaign: c,
		progress: &progress{log: s.app.log, counts: map[journal.State]int{}, tell: s.live.event},
	}
}

// watch shows how far it is until stop is called.
func (u *undoing) watch(ctx context.Context, calls *limiter.Limiter) (stop func()) {
	p := u.progress
	p.limiter = calls
	p.counts[journal.Accepted] = len(u.Machines) - u.count(runner.CancelInDoubt) - u.count(runner.CancelNotOurs)
	p.undoLine("started")
	u.session.live.follows(p)
	return u.session.showProgress(ctx, p, work{verb: "cancelled", left: journal.Accepted, quota: calls, line: p.undoLine})
}

func (u *undoing) count(r runner.CancelResult) int {
	n := 0
	for _, m := range u.Machines {
		if m.Result == r {
			n++
		}
	}
	return n
}

// cancelResults are in the order in which they are counted out, with the code that
// each ends the command with.
var cancelResults = []struct {
	result runner.CancelResult
	words  string
	code   exitCode
}{
	{runner.ToCancel, "to cancel", exitOK},
	{runner.CancelDone, "cancelled", exitOK},
	{runner.CancelOvertaken, "cancelled, though the device had begun", exitRejected},
	{runner.CancelTooLate, "too late: ended otherwise, or being carried out", exitRejected},
	{runner.CancelRefused, "refused by the service", exitRejected},
	{runner.CancelPending, "asked for and not final yet", exitBudget},
	{runner.CancelNotAsked, "not asked for yet", exitBudget},
	{runner.CancelInDoubt, "in doubt", exitInDoubt},
	{runner.CancelNotOurs, "not this campaign's own, left alone", exitOK},
}

func (u *undoing) code() exitCode {
	code := exitOK
	for _, r := range cancelResults {
		if u.Results[r.result] > 0 {
			code = graver(code, r.code)
		}
	}
	return code
}

// report writes what came of it. The code describes the machines and what ended
// the work, whichever is graver.
func (u *undoing) report(f *cancelFlags, cause error) error {
	if err := u.complete(); err != nil {
		return errors.Join(cause, err)
	}
	code := graver(codeOf(cause), u.code())
	u.ExitCode, u.ExitReason = int(code), u.outcome()
	u.session.app.notice.undone(u)
	if cause != nil {
		u.ExitReason = cause.Error()
	}
	if err := u.write(f); err != nil {
		return errors.Join(cause, fmt.Errorf("write the result: %w", err))
	}
	return outcomeError(code, cause)
}

// show writes what a dry run has found.
func (u *undoing) show(f *cancelFlags) error {
	if err := u.complete(); err != nil {
		return err
	}
	u.ExitReason = "nothing was sent and nothing was written"
	return u.write(f)
}

// complete fills in what follows from the machines and the journal.
func (u *undoing) complete() error {
	r, _, err := resultOf(u.session.journal, u.campaign)
	if err != nil {
		return err
	}
	u.Counts, u.Chain, u.Aborted = r.Counts, r.Chain, r.Aborted
	u.Results = map[runner.CancelResult]int{}
	for _, result := range runner.CancelResults() {
		u.Results[result] = u.count(result)
	}
	return nil
}

func (u *undoing) write(f *cancelFlags) error {
	out := u.session.app.env.stdout
	if f.output == "json" {
		return writeJSON(out, u)
	}
	if err := u.list(u.session.app.table(), f.verbose); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, u.words()); err != nil {
		return err
	}
	return writeChain(out, f.output, u.Chain)
}

func (u *undoing) list(machines *table, all bool) error {
	for _, m := range u.Machines {
		if !all && (m.Result == runner.CancelDone || m.Result == runner.CancelNotOurs) {
			continue
		}
		cells := []string{m.MachineID, strconv.Quote(m.Name), string(m.Result), strconv.Quote(m.Status)}
		if m.Failure != nil {
			cells = append(cells, fmt.Sprintf("%d %s %q", m.Failure.HTTPStatus, m.Failure.Code, m.Failure.Message))
		}
		machines.row(cells...)
	}
	return machines.flush()
}

// outcome counts the machines out, and never reads as done where it is not.
func (u *undoing) outcome() string {
	var parts []string
	for _, r := range cancelResults {
		if n := u.Results[r.result]; n > 0 {
			parts = append(parts, grouped(n)+" "+r.words)
		}
	}
	if len(parts) == 0 {
		return "nothing to cancel"
	}
	return strings.Join(parts, "; ")
}

func (u *undoing) words() string {
	lines := []string{fmt.Sprintf("Campaign %s, %s accepted or in doubt: %s.", u.Campaign, plural(len(u.Machines), "machine"), u.outcome())}
	if u.DryRun {
		return lines[0] + "\nDry run: nothing was sent and nothing was written."
	}
	if u.Results[runner.CancelDone]+u.Results[runner.CancelOvertaken] > 0 {
		lines = append(lines, "Cancelled is the service's word, a device may have been faster; after two days 'offboard verify' tells.")
	}
	switch n := u.Counts[journal.Planned.String()]; {
	case u.Aborted != nil:
		lines = append(lines, u.Aborted.words())
	case n > 0:
		lines = append(lines, fmt.Sprintf("%s not sent yet: 'offboard resume' still sends them, 'offboard abort' ends the campaign.", plural(n, "machine")))
	}
	if next := u.next(); next != "" {
		lines = append(lines, "Next: "+next)
	}
	return strings.Join(lines, "\n")
}

// next is what takes the undo further.
func (u *undoing) next() string {
	again := u.session.cancelCommand(u.Campaign, u.Reason, u.Wave)
	open := u.Results[runner.CancelPending] + u.Results[runner.CancelNotAsked] + u.Results[runner.CancelRefused]
	switch {
	case u.Results[runner.CancelInDoubt] > 0:
		return again + ", which looks again for what is in doubt; or 'offboard resolve' with your own verdict"
	case open > 0:
		return again
	}
	return ""
}

// cancelCommand is the command line that goes on with an undo.
func (s *session) cancelCommand(campaign, reason string, wave int) string {
	args := []string{"offboard", "cancel", "--campaign", campaign, "--journal", s.path, "--tenant", s.tenant.ID, "--reason", reason}
	if wave > 0 {
		args = append(args, "--wave", strconv.Itoa(wave))
	}
	return commandLine(append(append(args, cloudFlags(s.tenant.Cloud)...), s.app.config.args()...)...)
}

// cancelWords are what a person reads of a machine's cancellation.
func cancelWords(c *journal.Cancellation) string {
	if c == nil {
		return ""
	}
	outcome := "outcome unknown"
	switch c.Outcome {
	case journal.CancelTaken:
		outcome = "taken"
	case journal.CancelNotTaken:
		outcome = "not taken"
	case journal.CancelUnknown:
	}
	if c.Failure != nil {
		outcome += fmt.Sprintf(" (%d %s %q)", c.Failure.HTTPStatus, c.Failure.Code, c.Failure.Message)
	}
	return fmt.Sprintf("cancellation asked %s by %s, %q: %s", c.Asked.UTC().Format(time.RFC3339), c.Operator, c.Reason, outcome)
}
