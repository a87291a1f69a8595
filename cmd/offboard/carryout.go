package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/internal/failpoint"
	"offboard/journal"
	"offboard/runner"
)

// resumeCommand is the exact command that goes on with the campaign: what was
// given on this command line as far as resume takes it.
func resumeCommand(cmd *cobra.Command, campaign, journalPath string) string {
	var takes pflag.FlagSet
	(&campaignFlags{}).bind(&takes)
	(&reportFlag{}).bind(&takes)
	(&dashboardFlags{}).bind(&takes)
	(&configFlags{}).bind(&takes)
	(&metricsFlags{}).bind(&takes)
	args := []string{"offboard", "resume", "--campaign", campaign, "--journal", journalPath}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "campaign" || f.Name == "journal" || takes.Lookup(f.Name) == nil || originOf(f).kind == fromFile {
			return
		}
		value := f.Value.String()
		if abs, err := filepath.Abs(value); err == nil && slices.Contains([]string{"ca-file", "report", "metrics-textfile"}, f.Name) {
			value = abs // it may be pasted somewhere else
		}
		args = append(args, "--"+f.Name+"="+value)
	})
	return commandLine(args...)
}

// carryOut runs an enlisted campaign and reports how it stands, whatever ended
// the run.
func (s *session) carryOut(ctx context.Context, c *journal.Campaign, resume string) error {
	last, err := begin(c, s.terms())
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RunBegun)
	ctx, closeDoor := s.openDoor(ctx, c, last.StartedAt)
	defer closeDoor()
	defer s.servePage(c, pageOfRun)()
	defer s.app.tellStopping(ctx)()
	summary, err := s.work(ctx, c)
	failpoint.Hit(failpoint.WorkDone)
	if err == nil && s.f.wait {
		_, err = s.follow(ctx, c, runner.Forever)
	}
	if ctx.Err() != nil {
		err = stoppedBy(context.Cause(ctx), err)
	}
	last.Calls = callsResult{Sent: summary.Sent, Throttled: summary.Throttled}
	return s.finish(c, last, resume+approvalFlag(err), err)
}

// tellStopping says that the work is stopping as soon as ctx is done, unless the
// function that it returns is called before.
func (a *app) tellStopping(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		a.log.Warn().Msg("stopping: finishing what is in flight; once more ends at once")
	})
}

// stoppedBy adds why a run was stopped to what came of stopping it, unless that
// is only the stop itself.
func stoppedBy(cause, err error) error {
	if err == nil || errors.Is(err, cause) || errors.Is(err, context.Canceled) && errors.Unwrap(err) == nil {
		return cause
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// begin notes that a run has begun.
func begin(c *journal.Campaign, terms runTerms) (lastRun, error) {
	counts, err := c.Counts()
	if err != nil {
		return lastRun{}, err
	}
	last := lastRun{
		AlreadySettled: counts.Of(journal.Accepted) + counts.Of(journal.Succeeded),
		StartedAt:      time.Now().UTC(),
		Terms:          terms,
	}
	return last, remember(c, last)
}

func remember(c *journal.Campaign, last lastRun) error {
	return c.Update(func(i *journal.Info) (err error) {
		if last.Ledger == nil { // what an earlier run has noted stays true
			if last.Ledger, err = notedLedger(*i); err != nil {
				return err
			}
		}
		i.LastRun, err = json.Marshal(last)
		return err
	})
}

func (s *session) work(ctx context.Context, c *journal.Campaign) (runner.Summary, error) {
	if s.f.settleWait < time.Minute {
		s.app.log.Warn().Str("settle_wait", s.f.settleWait.String()).Msg("--settle-wait is below the minute that a late request may take to arrive")
	}
	budget, err := s.app.budget(ctx, &s.f.budgetFlags, time.Now())
	if err != nil {
		return runner.Summary{}, err
	}
	waves, err := s.waves(c)
	if err != nil {
		return runner.Summary{}, err
	}
	report := &progress{log: s.app.log, limiter: s.calls, campaign: c, tell: s.live.event}
	r, err := runner.New(runner.Config{
		Service: s.client, Record: c, Calls: s.calls, ListCalls: s.lists,
		Owner:   func(name string) (runner.Record, error) { return s.journal.Campaign(name) },
		Workers: s.f.workers, SettleWait: s.f.settleWait, RetryFor: s.f.retryFor,
		Budget: budget, Waves: waves, OnEvent: report.event,
	})
	if err != nil {
		return runner.Summary{}, err
	}
	defer s.live.sends(r, report)()
	if err := s.adopt(ctx, r, c); err != nil {
		return runner.Summary{}, err
	}
	stop, err := s.start(ctx, report)
	if err != nil {
		return runner.Summary{}, err
	}
	defer stop()
	return r.Run(ctx)
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
	last.Ledger = s.noteLedger(r.Chain)
	if cause != nil {
		last.ExitReason = cause.Error()
	}
	if err := remember(c, last); err != nil {
		code, cause = graver(codeOf(err), code), errors.Join(cause, err)
		last.ExitCode = code
	}
	failpoint.Hit(failpoint.ResultRecorded)
	r.describe(last)
	r.ended, r.config = true, s.app.config.args()
	if r.Chain, err = s.journal.Chain(); err != nil { // as the note of the run's end has left it
		code, cause = graver(codeOf(err), code), errors.Join(cause, err)
	}
	s.app.notice.about(r, r.next(counts, resume))
	err = errors.Join(r.write(s.app.env.stdout, s.f.output, counts, resume), writeChain(s.app.env.stdout, s.f.output, r.Chain))
	if err != nil {
		cause = errors.Join(cause, fmt.Errorf("write the result: %w", err))
		code = graver(code, exitUnexpected)
	}
	if cause != nil {
		s.app.tellResume(resume)
	}
	if err := s.leaveReport(c); err != nil {
		cause = errors.Join(cause, err)
		code = graver(code, exitUnexpected)
	}
	return outcomeError(code, cause)
}

// tellResume prints the command that goes on; for a person as a line to be
// pasted, which the console form of the log would quote once more.
func (a *app) tellResume(command string) {
	level := zerolog.WarnLevel
	if onConsole(a.env, a.logFormat) {
		_, _ = fmt.Fprintf(a.env.stderr, "To resume: %s\n", command)
		if a.logFile == "" {
			return
		}
		level = zerolog.InfoLevel // for the file
	}
	a.log.WithLevel(level).Str("command", command).Msg("to resume")
}

// outcomeError ends the command with a code; without a cause everything has been
// said.
func outcomeError(code exitCode, cause error) error {
	if code == exitOK {
		return nil
	}
	if cause == nil {
		cause = errors.New("")
	}
	return &commandError{code: code, err: cause}
}
