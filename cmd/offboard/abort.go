package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/door"
	"offboard/journal"
	"offboard/runner"
)

// abortion says that a campaign was given up. It sends nothing any more.
type abortion struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

func (a *app) abortCommand() *cobra.Command {
	var f cancelFlags
	cmd := &cobra.Command{
		Use:   "abort",
		Short: "Give a campaign up: send nothing more, and cancel what has not ended",
		Long: `Ends a campaign for good: its run, if one is under way, is stopped, 'run' and
'resume' refuse it from now on, and its own actions that have not ended are
cancelled as by 'offboard cancel'. Machines that
were not sent are free for another campaign. 'status', 'follow', 'verify' and
'cancel' still work on it.

A machine in doubt is cancelled if the tenant's actions show that its request
arrived. Otherwise it stays in doubt: 'offboard cancel' looks again, and 'offboard
resolve' takes a person's verdict.`,
		Example: `  offboard abort --campaign retired-laptops --reason "CHG-4711 wrong list"`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.abort(cmd.Context(), &f) },
	}
	f.bind(cmd.Flags())
	return cmd
}

func (a *app) abort(ctx context.Context, f *cancelFlags) error {
	if err := f.validate(); err != nil {
		return err
	}
	s, err := a.openUndo(ctx, f)
	if errors.Is(err, journal.ErrLocked) && !f.dryRun {
		if err := a.stopToAbort(ctx, f); err != nil {
			return err
		}
		s, err = a.openUndo(ctx, f)
	}
	if err != nil {
		return err
	}
	defer s.close()
	u, err := s.surveyUndo(ctx, f, append([]journal.State{journal.Planned}, cancellable...)...)
	if err != nil {
		return err
	}
	if f.dryRun {
		return u.show(f)
	}
	if err := a.agreeToAbort(ctx, u, f); err != nil {
		return err
	}
	// Before the first cancellation: were we killed after it, a resume would
	// send what is taken back here.
	if err := markAborted(u.campaign, f.reason); err != nil {
		return err
	}
	return s.undo(ctx, u, f)
}

// agreeToAbort has a person agree to the end of the campaign. Without its name it
// has to be one that has something left to end.
func (a *app) agreeToAbort(ctx context.Context, u *undoing, f *cancelFlags) error {
	counts, err := u.campaign.Counts()
	if err != nil {
		return err
	}
	unsent, cancels, doubts := counts.Of(journal.Planned), u.count(runner.ToCancel), u.count(runner.CancelInDoubt)
	if unsent+cancels+doubts == 0 && f.campaign == "" {
		return usageError("no campaign has anything left to abort; give --campaign NAME to close one for good")
	}
	return a.agree(ctx, unsent+cancels+doubts, f.yes, fmt.Sprintf(
		"Campaign %q will send nothing more: %s not sent, %s with an action to be cancelled, %s in doubt. What a device has carried out stays.",
		u.Campaign, plural(unsent, "machine"), grouped(cancels), grouped(doubts)))
}

// stopToAbort stops the run of the campaign that is to be aborted, and waits until
// it has given the journal free. Stopping loses nothing, so a person is asked
// afterwards, when the counts stand.
func (a *app) stopToAbort(ctx context.Context, f *cancelFlags) error {
	if !f.yes && !a.env.interactive {
		return usageError("no terminal to confirm an abort on; give --yes")
	}
	path, err := a.journalPath(f.journal, a.journalTenant(&f.connectionFlags))
	if err != nil {
		return err
	}
	var r result
	err = a.ask(ctx, path, func(ctx context.Context, dial door.Dial) error { return door.Status(ctx, dial, "", &r) })
	switch {
	case errors.Is(err, errNoRun):
		return nil // it has ended meanwhile
	case err != nil:
		return err
	case f.campaign != "" && f.campaign != r.Campaign:
		return &commandError{code: exitLocked, err: fmt.Errorf("campaign %q is under way in %s", r.Campaign, path),
			hint: "wait for its run to end, or stop it with 'offboard stop', then abort again; nothing was cancelled"}
	}
	f.campaign = r.Campaign
	a.log.Warn().Str("campaign", r.Campaign).Msg("stopping the run")
	return a.stopRunning(ctx, path)
}

// markAborted notes that the campaign was given up. The first time counts.
func markAborted(c *journal.Campaign, reason string) error {
	r, err := rulesOf(c.Info())
	if err != nil || r.Aborted != nil {
		return err
	}
	r.Aborted = &abortion{At: time.Now().UTC(), By: operator(), Reason: reason}
	return r.keep(c)
}

// refuseAborted refuses to send for a campaign that was given up.
func refuseAborted(i journal.Info) error {
	r, err := rulesOf(i)
	if err != nil || r.Aborted == nil {
		return err
	}
	return guardError("start another campaign for the rest: offboard run LIST --campaign NAME", "campaign %q was aborted by %s at %s: %q; nothing was sent",
		i.Name, r.Aborted.By, r.Aborted.At.Format(time.RFC3339), r.Aborted.Reason)
}

// words are what a person reads of it.
func (ab *abortion) words() string {
	return fmt.Sprintf("Aborted by %s at %s: %q. What was not sent is free for another campaign.", ab.By, ab.At.Format(time.RFC3339), ab.Reason)
}
