package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/defender"
	"offboard/journal"
	"offboard/runner"
)

type followFlags struct {
	campaignFlags
	dashboardFlags
	metricsFlags
	bound   time.Duration
	verbose bool
}

func (f *followFlags) bind(fs *pflag.FlagSet) {
	f.bindReading(fs)
	f.dashboardFlags.bind(fs)
	f.metricsFlags.bind(fs)
	f.progressFlags.bind(fs)
	fs.DurationVar(&f.bound, "for", runner.Forever, "stop following after this `time` (0: look once; default: when every action has ended)")
	fs.BoolVar(&f.verbose, "verbose", false, "list every machine that is waited for")
}

func (a *app) followCommand() *cobra.Command {
	var f followFlags
	cmd := &cobra.Command{
		Use:   "follow",
		Short: "Follow accepted machines until their actions have ended",
		Long: `Accepted is not offboarded: the service keeps the action until the device is
next online. Follow reads the tenant's action list, a few calls a look however
many machines there are, until every action has ended, and records each end. It
looks less often as the actions age.

With --for 0 it looks once, which is what a scheduled job wants. It ends with 0
when every action has ended well, 3 when some have not, and 6 when some machines
are still waited for.`,
		Example: `  offboard follow
  offboard follow --campaign retired-laptops --for 0`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.follow(cmd, &f) },
	}
	f.bind(cmd.Flags())
	return cmd
}

func (f *followFlags) validate() error {
	if f.bound < 0 && f.bound != runner.Forever {
		return usageError("--for %s is negative", f.bound)
	}
	return errors.Join(f.validateReading(), f.progressFlags.validate())
}

func (a *app) follow(cmd *cobra.Command, f *followFlags) error {
	if err := errors.Join(a.measure("follow", &f.campaignFlags, &f.metricsFlags, &f.dashboardFlags), f.validate()); err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{}, false)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.pageAt(ctx, &f.dashboardFlags); err != nil {
		return err
	}
	c, err := chooseCampaign(s.journal, f.campaign, journal.Accepted)
	if err != nil {
		return err
	}
	if err := s.openLists(); err != nil {
		return err
	}
	last := lastRun{StartedAt: time.Now().UTC()}
	ctx, closeDoor := s.openDoor(ctx, c, last.StartedAt)
	defer closeDoor()
	defer s.servePage(c, pageOfFollow)()
	waiting, cause := s.follow(ctx, c, f.bound)
	if ctx.Err() != nil {
		cause = stoppedBy(context.Cause(ctx), cause)
	}
	if f.verbose && f.output == "text" {
		if err := listWaiting(a.table(), waiting); err != nil {
			return err
		}
	}
	return s.reportFollowed(c, last, waiting, cause)
}

// follow brings the accepted machines of a campaign to their end, and returns
// those that it has not.
func (s *session) follow(ctx context.Context, c *journal.Campaign, bound time.Duration) ([]runner.Waiting, error) {
	report := &progress{log: s.app.log, campaign: c, tell: s.live.event}
	if err := report.count(); err != nil {
		return nil, err
	}
	s.live.follows(report)
	// Each look is logged; it needs no line in between.
	defer s.showProgress(ctx, report, work{verb: "ended", left: journal.Accepted})()
	owner := func(name string) (runner.Followed, error) { return s.journal.Campaign(name) }
	s.app.notice.follows(c)
	return runner.NewFollower(s.directory, owner, report.event).Follow(ctx, c, bound)
}

// reportFollowed writes the result of following. It is no run, so the journal
// goes on holding the campaign's last one.
func (s *session) reportFollowed(c *journal.Campaign, last lastRun, waiting []runner.Waiting, cause error) error {
	r, counts, err := resultOf(s.journal, c)
	if err != nil {
		return err
	}
	code := graver(codeOf(cause), followedCode(counts, r.Aborted != nil))
	last.EndedAt, last.ExitCode, last.ExitReason = time.Now().UTC(), code, code.reason()
	if cause != nil {
		last.ExitReason = cause.Error()
	}
	r.describe(last)
	r.ended, r.config = true, s.app.config.args()
	r.Waiting = sortWaiting(waiting, time.Now())
	s.app.notice.about(r, r.next(counts, r.command("resume")))
	out := s.app.env.stdout
	if err := errors.Join(r.write(out, s.f.output, counts, r.command("resume")), writeChain(out, s.f.output, r.Chain)); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return outcomeError(code, cause)
}

// followedCode is the code of a campaign that was followed: what is accepted is
// work that remains, and what an aborted campaign has not sent is none.
func followedCode(c journal.Counts, aborted bool) exitCode {
	code := campaignCode(c)
	if aborted && code == exitBudget {
		code = endedCode(c)
	}
	if c.Of(journal.Accepted) > 0 {
		code = graver(code, exitBudget)
	}
	return code
}

// waitingResult tells apart why machines are waited for.
type waitingResult struct {
	Awake    int `json:"awake"`    // seen by the service within two days: soon
	Silent   int `json:"silent"`   // not seen for longer: the action is carried out when the device wakes
	Unknown  int `json:"unknown"`  // the inventory does not show the machine
	Unlisted int `json:"unlisted"` // the action has vanished from the list: look at the machine in the portal
}

func sortWaiting(all []runner.Waiting, now time.Time) *waitingResult {
	var w waitingResult
	for _, m := range all {
		switch {
		case m.Unlisted:
			w.Unlisted++
		case m.LastSeen.IsZero():
			w.Unknown++
		case now.Sub(m.LastSeen) < runner.Awake:
			w.Awake++
		default:
			w.Silent++
		}
	}
	return &w
}

func (w *waitingResult) words() string {
	var parts []string
	for _, p := range []struct {
		n     int
		words string
	}{
		{w.Awake, "seen in the last 48 hours"},
		{w.Silent, "silent for longer, offboarded when they wake"},
		{w.Unknown, "not in the inventory"},
		{w.Unlisted, "whose action has vanished from the list"},
	} {
		if p.n > 0 {
			parts = append(parts, grouped(p.n)+" "+p.words)
		}
	}
	return strings.Join(parts, "; ")
}

func listWaiting(all *table, waiting []runner.Waiting) error {
	for _, m := range waiting {
		seen, status := "not seen", m.Status
		if !m.LastSeen.IsZero() {
			seen = "last seen " + m.LastSeen.UTC().Format(time.RFC3339)
		}
		if m.Unlisted {
			status = "not listed"
		}
		if status == "" {
			status = defender.StatusPending
		}
		all.row(m.MachineID, strconv.Quote(m.Name), strconv.Quote(status), seen)
	}
	return all.flush()
}
