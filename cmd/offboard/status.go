package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/door"
	"offboard/journal"
)

type statusFlags struct {
	offlineFlags
	outputFlag
	verbose, watch bool
	interval       time.Duration
	page           dashboardFlags // of --serve
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the campaigns stand",
		Long: `Says how a campaign stands: from the run that is under way, of this account, or
from the journal when there is none; then it is all campaigns without
--campaign. With --watch it says so again and again until the run has ended; with
--serve it shows what the journal has on a page for a browser. The exit status of
this command only says whether it could tell; exit_code in the JSON is that of the
campaign's last run.`,
		Example: "  offboard status\n  offboard status --watch --output json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			if f.page.dashboard != "" {
				return a.serveStatus(cmd.Context(), &f)
			}
			if f.watch {
				return a.watch(cmd.Context(), &f)
			}
			return a.status(cmd.Context(), &f)
		},
	}
	f.offlineFlags.bind(cmd.Flags())
	f.outputFlag.bind(cmd.Flags())
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "list every machine but those that this campaign had accepted")
	cmd.Flags().StringVar(&f.page.dashboard, "serve", "", "serve the page of a campaign that no run is at work on at this `address`, such as 127.0.0.1:8765, until interrupted")
	f.page.bindRemote(cmd.Flags())
	cmd.Flags().BoolVar(&f.watch, "watch", false, "go on until the run has ended")
	cmd.Flags().DurationVar(&f.interval, "interval", 2*time.Second, "`time` between two looks of --watch")
	return cmd
}

func (f *statusFlags) validate() error {
	if f.interval < 100*time.Millisecond {
		return usageError("--interval %s is below 100ms", f.interval)
	}
	if f.watch && f.page.dashboard != "" {
		return usageError("--serve and --watch: one or the other")
	}
	return f.outputFlag.validate()
}

// status asks the run, if there is one, and the journal otherwise.
func (a *app) status(ctx context.Context, f *statusFlags) error {
	r, err := a.askStatus(ctx, f)
	if err == nil {
		if f.verbose {
			a.log.Warn().Msg("--verbose lists machines only when no run is under way")
		}
		return a.writeRunning(*r, f.output)
	}
	if !errors.Is(err, errNoRun) {
		return err
	}
	return a.statusOffline(f)
}

// askStatus asks the run that holds the journal. The error is [errNoRun] when
// there is none.
func (a *app) askStatus(ctx context.Context, f *statusFlags) (*result, error) {
	tenant := a.journalTenant(&f.connectionFlags)
	path, err := a.existingJournal(&f.offlineFlags, tenant)
	if err != nil {
		return nil, err
	}
	var r result
	err = a.ask(ctx, path, func(ctx context.Context, dial door.Dial) error { return door.Status(ctx, dial, f.campaign, &r) })
	if err != nil {
		return nil, missing(path, err)
	}
	if r.Running == nil {
		return nil, errors.New("the run has answered with something else than its status")
	}
	if f.tenant != "" && r.TenantID != tenant.ID {
		return nil, fmt.Errorf("%s: %w", path, journal.ErrForeign)
	}
	return &r, nil
}

// statusOffline reads the journal.
func (a *app) statusOffline(f *statusFlags) error {
	j, err := a.openOffline(&f.offlineFlags, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	if f.campaign != "" || f.output == "json" {
		var c *journal.Campaign
		if c, err = chooseCampaign(j, f.campaign, unfinished...); err != nil {
			return err
		}
		err = a.statusOf(j, c, f)
	} else {
		err = a.statusOfAll(j, f)
	}
	if err != nil {
		return err
	}
	chain, err := j.Chain()
	if err != nil {
		return err
	}
	return writeChain(a.env.stdout, f.output, chain)
}

func (a *app) statusOfAll(j *journal.Journal, f *statusFlags) error {
	all, err := j.Campaigns()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return noCampaign(j)
	}
	for _, info := range all {
		c, err := j.Campaign(info.Name)
		if err != nil {
			return err
		}
		if err := a.statusOf(j, c, f); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) statusOf(j *journal.Journal, c *journal.Campaign, f *statusFlags) error {
	r, counts, err := resultOf(j, c)
	if err != nil {
		return err
	}
	r.config = a.config.args()
	if f.verbose && f.output == "text" {
		if err := a.listUnsettled(c); err != nil {
			return err
		}
	}
	return r.write(a.env.stdout, f.output, counts, r.command("resume"))
}

// listUnsettled prints the machines that somebody may have to look at.
func (a *app) listUnsettled(c *journal.Campaign) error {
	all := a.table()
	for e, err := range c.Entries() {
		if err != nil {
			return err
		}
		ours := e.SettledBy == ""
		if ours && e.Cancel == nil && (e.State == journal.Accepted || e.State == journal.Succeeded) {
			continue
		}
		why := fmt.Sprintf("%q", e.Reason)
		if !ours {
			why = "by campaign " + e.SettledBy
		} else if e.Failure != nil && e.State != journal.Excluded {
			why = fmt.Sprintf("%s %q", e.Failure.Code, e.Failure.Message)
		}
		if e.Cancel != nil {
			why = strings.TrimPrefix(why, `""`) + cancelWords(e.Cancel)
		}
		all.row(e.MachineID, strconv.Quote(e.Name), e.State.String(), e.Updated.UTC().Format(time.RFC3339), why)
	}
	return all.flush()
}
