package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"offboard/journal"
)

type statusFlags struct {
	offlineFlags
	outputFlag
	verbose bool
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the campaigns stand",
		Long: `Says how a campaign stands, or all of them, from the journal alone. The exit status of this
command only says whether it could tell; exit_code in the JSON is that of the
campaign's last run.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.status(&f) },
	}
	f.offlineFlags.bind(cmd.Flags())
	f.outputFlag.bind(cmd.Flags())
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "list every machine but those that this campaign had accepted")
	return cmd
}

func (a *app) status(f *statusFlags) error {
	if err := f.validate(); err != nil {
		return err
	}
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
	if f.verbose && f.output == "text" {
		if err := a.listUnsettled(c); err != nil {
			return err
		}
	}
	return r.write(a.env.stdout, f.output, counts, r.command("resume"))
}

// listUnsettled prints the machines that somebody may have to look at.
func (a *app) listUnsettled(c *journal.Campaign) error {
	w := tabwriter.NewWriter(a.env.stdout, 0, 4, 2, ' ', 0)
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
		if _, err := fmt.Fprintf(w, "%s\t%q\t%s\t%s\t%s\n", e.MachineID, e.Name, e.State, e.Updated.UTC().Format(time.RFC3339), why); err != nil {
			return err
		}
	}
	return w.Flush()
}
