package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/door"
	"offboard/journal"
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
cancelled as by 'offboard cancel'. Machines that were not sent are free for
another campaign. 'status', 'follow', 'verify' and 'cancel' still work on it.

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
	if f.dryRun {
		return a.abortDry(ctx, f)
	}
	s, err := a.lock(&f.campaignFlags, journal.Options{}, false)
	if errors.Is(err, journal.ErrLocked) {
		if err := a.stopToAbort(ctx, f); err != nil {
			return err
		}
		s, err = a.lock(&f.campaignFlags, journal.Options{}, false)
	}
	if err != nil {
		return err
	}
	defer s.close()
	// First of all, and without asking anybody: were we killed, or the service
	// not there, a resume would send what is taken back here.
	if err := s.giveUp(ctx, f); err != nil {
		return err
	}
	u, err := s.surveyAborted(ctx, f)
	if err != nil {
		return &commandError{
			code: codeOf(err), hint: "when that is mended: " + s.cancelCommand(f.campaign, f.reason, 0),
			err: fmt.Errorf("campaign %q is aborted and sends nothing more, but nothing was cancelled yet: %w", f.campaign, err),
		}
	}
	return s.undo(ctx, u, f)
}

// abortDry shows what would be cancelled.
func (a *app) abortDry(ctx context.Context, f *cancelFlags) error {
	s, err := a.openUndo(ctx, f)
	if err != nil {
		return err
	}
	defer s.close()
	u, err := s.surveyUndo(ctx, f, abortable...)
	if err != nil {
		return err
	}
	return u.show(f)
}

// abortable are the states of machines of which a campaign has something to give up.
var abortable = append([]journal.State{journal.Planned}, cancellable...)

// giveUp has a person agree to the end of the campaign and marks it aborted. Without
// its name it has to be one that has something left to end.
func (s *session) giveUp(ctx context.Context, f *cancelFlags) error {
	if err := s.recoverKilled(); err != nil {
		return err
	}
	c, err := chooseCampaign(s.journal, f.campaign, abortable...)
	if err != nil {
		return err
	}
	counts, err := c.Counts()
	if err != nil {
		return err
	}
	unsent, accepted, doubts := counts.Of(journal.Planned), counts.Of(journal.Accepted), counts.Of(journal.InDoubt)
	if unsent+accepted+doubts == 0 && f.campaign == "" {
		return usageError("no campaign has anything left to abort; give --campaign NAME to close one for good")
	}
	f.campaign = c.Info().Name
	err = s.app.agree(ctx, unsent+accepted+doubts, f.yes, fmt.Sprintf(
		"Campaign %q will send nothing more: %s not sent, %s with an action that has not ended, which is cancelled where it is the campaign's own, %s in doubt. What a device has carried out stays.",
		f.campaign, plural(unsent, "machine"), grouped(accepted), grouped(doubts)))
	if err != nil {
		return err
	}
	return markAborted(c, f.reason)
}

// surveyAborted signs in and finds out what there is to cancel.
func (s *session) surveyAborted(ctx context.Context, f *cancelFlags) (u *undoing, err error) {
	if s.connection, err = s.app.connect(ctx, &f.campaignFlags, s.tenant); err != nil {
		return nil, err
	}
	return s.surveyUndo(ctx, f)
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
	return changeRules(c, func(r *rules) { r.Aborted = &abortion{At: time.Now().UTC(), By: operator(), Reason: reason} })
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
