package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// cancelFlags are what cancel and abort have in common.
type cancelFlags struct {
	campaignFlags
	reason               string
	wave                 int // 0: all
	yes, dryRun, verbose bool
}

func (f *cancelFlags) bind(fs *pflag.FlagSet) {
	f.bindReading(fs)
	f.progressFlags.bind(fs)
	fs.StringVar(&f.reason, "reason", "", "why (required); it goes with every cancellation and stays in the journal")
	fs.BoolVar(&f.yes, "yes", false, "do not ask for confirmation")
	fs.BoolVar(&f.dryRun, "dry-run", false, "look at the actions, show what would be cancelled, and change nothing")
	fs.BoolVar(&f.verbose, "verbose", false, "list every machine, not only those that are not as they should be")
}

func (f *cancelFlags) validate() error {
	err := errors.Join(f.validateReading(), f.progressFlags.validate())
	if f.reason = strings.TrimSpace(f.reason); f.reason == "" {
		err = errors.Join(err, usageError("give --reason: why is it taken back?"))
	}
	return err
}

func (a *app) cancelCommand() *cobra.Command {
	var f cancelFlags
	cmd := &cobra.Command{
		Use:   "cancel",
		Short: "Cancel a campaign's own actions that are not final",
		Long: `Takes a campaign back as far as that is possible: cancels the actions that it
asked for itself and that have not ended. What another host, another campaign or
the portal asked for is left alone. A device that is online acts within minutes,
and what it has carried out stays.

It looks at the actions before it asks, and once more afterwards. That an action
says Cancelled is the service's word: a device may have been faster. Two days
later 'offboard verify' tells. Run it again to go on where it ended.

It ends with 0 when all are cancelled, 3 when some came too late or were refused,
4 when some are in doubt, and 6 when some actions have not ended yet.`,
		Example: `  offboard cancel --campaign retired-laptops --reason "CHG-4711 wrong list" --dry-run
  offboard cancel --campaign retired-laptops --reason "CHG-4711 wrong list"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.cancel(cmd.Context(), &f) },
	}
	f.bind(cmd.Flags())
	cmd.Flags().IntVar(&f.wave, "wave", 0, "cancel only the actions of the campaign's `N`th wave")
	return cmd
}

func (a *app) cancel(ctx context.Context, f *cancelFlags) error {
	if err := f.validate(); err != nil {
		return err
	}
	s, err := a.openUndo(ctx, f)
	if err != nil {
		return err
	}
	defer s.close()
	u, err := s.surveyUndo(ctx, f, cancellable...)
	if err != nil {
		return err
	}
	if f.dryRun {
		return u.show(f)
	}
	err = a.agree(ctx, u.count(runner.ToCancel), f.yes, fmt.Sprintf(
		"The actions of %s of campaign %q will be cancelled. What a device has carried out stays.", plural(u.count(runner.ToCancel), "machine"), u.Campaign))
	if err != nil {
		return err
	}
	return s.undo(ctx, u, f)
}

// cancellable are the states of machines that the service may hold an action for.
var cancellable = []journal.State{journal.Accepted, journal.Sending, journal.InDoubt}

// openUndo opens what a campaign is taken back with.
func (a *app) openUndo(ctx context.Context, f *cancelFlags) (*session, error) {
	return a.open(ctx, &f.campaignFlags, journal.Options{ReadOnly: f.dryRun}, false)
}

// surveyUndo finds out what there is to cancel, and sends nothing.
func (s *session) surveyUndo(ctx context.Context, f *cancelFlags, states ...journal.State) (*undoing, error) {
	if !f.dryRun {
		if err := s.recoverKilled(); err != nil {
			return nil, err
		}
	}
	c, err := chooseCampaign(s.journal, f.campaign, states...)
	if err != nil {
		return nil, err
	}
	if err := s.openLists(); err != nil {
		return nil, err
	}
	only, err := onlyWave(c, f.wave)
	if err != nil {
		return nil, err
	}
	s.live = &live{session: s, campaign: c, started: time.Now().UTC()}
	u := newUndoing(s, c, f)
	u.canceller = runner.NewCanceller(runner.CancelConfig{
		Service: s.client, Record: c, Directory: s.directory, Reason: f.reason, Only: only,
		Workers: runner.DefaultWorkers, RetryFor: f.retryFor,
		OnEvent: u.progress.event,
	})
	u.Machines, err = u.canceller.Survey(ctx)
	return u, err
}

// onlyWave says which rows are in a wave of the campaign; nil for all.
func onlyWave(c *journal.Campaign, wave int) (func(row int) bool, error) {
	if wave == 0 {
		return nil, nil
	}
	agreed, err := rulesOf(c.Info())
	if err != nil {
		return nil, err
	}
	if agreed.Waves == nil || wave < 1 || wave > len(agreed.Waves.Waves) {
		return nil, usageError("--wave %d: campaign %q has no such wave", wave, c.Info().Name)
	}
	last := agreed.Waves.last()
	return func(row int) bool { return runner.WaveOf(last, row) == wave }, nil
}

// undo cancels what was agreed on, and reports, whatever ended it.
func (s *session) undo(ctx context.Context, u *undoing, f *cancelFlags) error {
	recent := func(limiter.Mark) ([]limiter.Call, error) {
		known, err := s.journal.CancelCalls(time.Now().Add(-longestQuota))
		return limiterCalls(known), err
	}
	calls, err := s.openLimiter("cancel", recent, limiter.OpenLedger)
	if err != nil {
		return err
	}
	defer func() { _ = calls.Close() }()
	defer s.app.tellStopping(ctx)()
	stop := u.watch(ctx, calls)
	machines, summary, cause := u.canceller.Cancel(ctx, calls)
	stop()
	if ctx.Err() != nil {
		cause = stoppedBy(context.Cause(ctx), cause)
	}
	u.Machines, u.Calls = machines, callsResult{Sent: summary.Sent, Throttled: summary.Throttled}
	return u.report(f, cause)
}
