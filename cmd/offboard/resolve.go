package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"offboard/input"
	"offboard/journal"
)

type resolveFlags struct {
	offlineFlags
	applied, notApplied bool
	reason, from        string
}

func (a *app) resolveCommand() *cobra.Command {
	var f resolveFlags
	cmd := &cobra.Command{
		Use:   "resolve ID...",
		Short: "Give your own verdict on machines in doubt",
		Long: `Records a person's verdict on machines in doubt: that the request was applied,
and the machine counts as accepted, or that it was not, and the machine may be
sent again. The verdict stays in the journal with its reason and who gave it.`,
		Example: `  offboard resolve 1e5bc9d7e413ddd7902c2932e418702b84d0cc07 --applied --reason "seen in the portal"
  offboard resolve --from doubts.txt --not-applied --reason "portal shows no action"`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.resolve(cmd.Context(), args, &f) },
	}
	f.bind(cmd.Flags())
	cmd.Flags().BoolVar(&f.applied, "applied", false, "the service did get the request")
	cmd.Flags().BoolVar(&f.notApplied, "not-applied", false, "the service did not get the request; the machine may be sent again")
	cmd.Flags().StringVar(&f.reason, "reason", "", "how you know (required)")
	cmd.Flags().StringVar(&f.from, "from", "", "take the ids from a `list`")
	return cmd
}

func (f *resolveFlags) validate(ids []string) error {
	switch {
	case f.applied == f.notApplied:
		return usageError("give either --applied or --not-applied")
	case f.reason == "":
		return usageError("give --reason: how do you know?")
	case len(ids) == 0 && f.from == "":
		return usageError("which machines? give their ids, or --from LIST")
	}
	return nil
}

func (a *app) resolve(ctx context.Context, ids []string, f *resolveFlags) error {
	if err := f.validate(ids); err != nil {
		return err
	}
	if f.from != "" {
		list, err := input.Read(ctx, f.from, input.Options{Stdin: a.env.stdin, IncludeNotOnboarded: true})
		if err != nil {
			return err
		}
		for m := range list.Machines.All() {
			ids = append(ids, m.ID)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	j, err := a.openOffline(&f.offlineFlags, journal.Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	// A run that was killed leaves machines as sending; nothing is sending
	// now that we hold the lock.
	if _, err := j.Recover(); err != nil {
		return err
	}
	c, err := chooseCampaign(j, f.campaign, unfinished...)
	if err != nil {
		return err
	}
	return a.giveVerdict(c, ids, f)
}

// giveVerdict checks every machine before it records a verdict on the first.
func (a *app) giveVerdict(c *journal.Campaign, ids []string, f *resolveFlags) error {
	for _, id := range ids {
		e, err := c.Entry(id)
		if err != nil {
			return &commandError{code: exitUsage, err: err}
		}
		if e.State != journal.InDoubt {
			return usageError("machine %s is %s, not in doubt; no verdict was recorded", id, e.State)
		}
		if e.SettledBy != "" {
			return usageError("machine %s is in doubt in campaign %q; give --campaign %s; no verdict was recorded", id, e.SettledBy, e.SettledBy)
		}
	}
	for _, id := range ids {
		if err := c.Verdict(id, f.applied, f.reason, operator()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.env.stdout, "Recorded the verdict on %s of campaign %s.\n", plural(len(ids), "machine"), c.Info().Name)
	return err
}
