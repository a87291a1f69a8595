package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/journal"
	"offboard/runner"
)

// resumeCommand is the exact command that goes on with the campaign: what was
// given on this command line as far as resume takes it.
func resumeCommand(cmd *cobra.Command, campaign, journalPath string) string {
	var takes pflag.FlagSet
	(&campaignFlags{}).bind(&takes)
	args := []string{"offboard", "resume", "--campaign", campaign, "--journal", journalPath}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "campaign" && f.Name != "journal" && takes.Lookup(f.Name) != nil {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return commandLine(args...)
}

// carryOut runs an enlisted campaign and reports how it stands, whatever ended
// the run.
func (s *session) carryOut(ctx context.Context, c *journal.Campaign, resume string) error {
	last, err := s.begin(c)
	if err != nil {
		return err
	}
	summary, err := s.work(ctx, c)
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	last.Calls = callsResult{Sent: summary.Sent, Throttled: summary.Throttled}
	return s.finish(c, last, resume, err)
}

// begin recovers the journal after a kill and notes that a run has begun.
func (s *session) begin(c *journal.Campaign) (lastRun, error) {
	interrupted, err := s.journal.Recover()
	if err != nil {
		return lastRun{}, err
	}
	for _, e := range interrupted {
		s.app.log.Warn().Str("machine_id", e.MachineID).Str("campaign", e.Campaign).Msg("in doubt: the last run ended during the request")
	}
	counts, err := c.Counts()
	if err != nil {
		return lastRun{}, err
	}
	last := lastRun{
		AlreadySettled: counts.Of(journal.Accepted) + counts.Of(journal.Succeeded),
		StartedAt:      time.Now().UTC(),
	}
	return last, remember(c, last)
}

func remember(c *journal.Campaign, last lastRun) error {
	encoded, err := json.Marshal(last)
	if err != nil {
		return err
	}
	return c.Update(func(i *journal.Info) error { i.LastRun = encoded; return nil })
}

func (s *session) work(ctx context.Context, c *journal.Campaign) (runner.Summary, error) {
	report := &progress{log: s.app.log, limiter: s.calls, campaign: c}
	r, err := runner.New(runner.Config{
		Service: s.client, Record: c, Calls: s.calls, Lists: s.lists,
		Owner:   func(name string) (runner.Record, error) { return s.journal.Campaign(name) },
		Workers: s.f.workers, SettleWait: s.f.settleWait, RetryFor: s.f.retryFor,
		OnEvent: report.event,
	})
	if err != nil {
		return runner.Summary{}, err
	}
	if err := s.readTenant(ctx, r, c); err != nil {
		return runner.Summary{}, err
	}
	stop, err := report.start(ctx)
	if err != nil {
		return runner.Summary{}, err
	}
	defer stop()
	return r.Run(ctx)
}

// readTenant adopts what other hosts did, once for each campaign, before its
// first send. Where that is not allowed, a new journal needs somebody's word
// that there is nothing to adopt.
func (s *session) readTenant(ctx context.Context, r *runner.Runner, c *journal.Campaign) error {
	counts, err := c.Counts()
	if err != nil || !c.Info().TenantRead.IsZero() || counts.Of(journal.Planned) == 0 {
		return err
	}
	err = r.ReadTenant(ctx, c)
	if errors.Is(err, runner.ErrTenantUnread) {
		return s.withoutTenant(c, err)
	}
	if err != nil {
		return err
	}
	return c.Update(func(i *journal.Info) error { i.TenantRead = time.Now().UTC(); return nil })
}

// withoutTenant decides whether a campaign may go on without knowing what other
// hosts did, and remembers that it may.
func (s *session) withoutTenant(c *journal.Campaign, unread error) error {
	agreed, err := rulesOf(c.Info())
	if err != nil {
		return err
	}
	all, err := s.journal.Campaigns()
	if err != nil {
		return err
	}
	if !s.f.newJournal && !agreed.NewJournal && len(all) == 1 {
		return &commandError{
			code: exitSignIn, err: unread,
			hint: "grant Machine.Read.All, or give --new-journal if no other host has offboarded machines of this tenant",
		}
	}
	s.app.log.Warn().Err(unread).Msg("going on without knowing what other hosts did")
	agreed.NewJournal = true
	encoded, err := json.Marshal(agreed)
	if err != nil {
		return err
	}
	return c.Update(func(i *journal.Info) error { i.Rules = encoded; return nil })
}

// finish writes the result. The code describes the campaign as it is now, and
// what stopped the run, whichever is graver.
func (s *session) finish(c *journal.Campaign, last lastRun, resume string, cause error) error {
	r, counts, err := resultOf(s.journal, c)
	if err != nil {
		return errors.Join(cause, err)
	}
	code := graver(codeOf(cause), campaignCode(counts))
	last.EndedAt, last.ExitCode, last.ExitReason = time.Now().UTC(), code, code.reason()
	if cause != nil {
		last.ExitReason = cause.Error()
	}
	if err := remember(c, last); err != nil {
		code, cause = graver(codeOf(err), code), errors.Join(cause, err)
		last.ExitCode = code
	}
	r.describe(last)
	if err := r.write(s.app.env.stdout, s.f.output, counts); err != nil {
		cause = errors.Join(cause, fmt.Errorf("write the result: %w", err))
		code = graver(code, exitUnexpected)
	}
	if cause == nil {
		cause = errors.New("")
	} else {
		s.app.log.Warn().Str("command", resume).Msg("to resume")
	}
	if code == exitOK {
		return nil
	}
	return &commandError{code: code, hint: hintOf(cause), err: cause}
}
