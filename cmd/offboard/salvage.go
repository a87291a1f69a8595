package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"offboard/journal"
)

func (a *app) journalRecoverCommand() *cobra.Command {
	var (
		f     connectionFlags
		noted []string
	)
	cmd := &cobra.Command{
		Use:   "recover DAMAGED NEW",
		Short: "Make a new journal of what can be read of a damaged one",
		Long: `Makes the new journal NEW of what can be read of the journal DAMAGED, which is
never written to. NEW must not exist.

When the event log is certain to be complete, every machine is what it was; the
last run's last words, with --head, show it of a copy from before. Else
those that were accepted or settled stay so, and all others are in doubt, the
planned ones too: their request may be in the part that is lost. Resume settles
them by the tenant's actions. Machines of which nothing is left come back with the
list; run it no sooner than five minutes (--settle-wait) after the last run ended.

It ends with exit status 0 when nothing is in doubt and no machine is missing, with
4 when some are, and with 9 when nothing could be read, in which case there is no
NEW.`,
		Example: "  offboard journal recover damaged.journal new.journal",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.journalRecover(cmd.Context(), &f, args[0], args[1], noted)
		},
	}
	f.bindTenant(cmd.Flags())
	cmd.Flags().StringArrayVar(&noted, "head", nil, "a state that the complete log must have been in, as `LENGTH:HEAD` from a run's last words")
	return cmd
}

func (a *app) journalRecover(ctx context.Context, f *connectionFlags, damaged, fresh string, noted []string) error {
	heads, err := parseHeads(noted)
	if err != nil {
		return err
	}
	tenant := a.journalTenant(f)
	if tenant.ID == "" {
		tenant = journal.Tenant{} // it says itself, if it still can
	}
	done, err := journal.Salvage(ctx, damaged, fresh, tenant, journal.Options{Operator: operator()}, heads...)
	switch {
	case errors.Is(err, fs.ErrExist):
		return usageError("%s exists already; name a file that does not", fresh)
	case errors.Is(err, fs.ErrNotExist):
		return usageError("%w", err)
	case err != nil:
		return err
	}
	j, err := journal.Open(fresh, journal.Tenant{}, journal.Options{Operator: operator()})
	if err != nil {
		return err
	}
	defer j.Close()
	if !done.Complete {
		if err := forgetPermissions(j); err != nil {
			return err
		}
	}
	if err := a.tellSalvaged(j, done); err != nil {
		return err
	}
	if done.Doubted+done.Missing > 0 {
		return outcomeError(exitInDoubt, nil)
	}
	return nil
}

// forgetPermissions takes back that campaigns may go on without a look at the
// tenant: that was said of a journal that knew what it had sent.
func forgetPermissions(j *journal.Journal) error {
	all, err := j.Campaigns()
	if err != nil {
		return err
	}
	for _, info := range all {
		r, err := rulesOf(info)
		if err != nil || !r.NewJournal {
			continue // rules that cannot be read permit nothing
		}
		c, err := j.Campaign(info.Name)
		if err != nil {
			return err
		}
		r.NewJournal = false
		encoded, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := c.Update(func(i *journal.Info) error { i.Rules = encoded; return nil }); err != nil {
			return err
		}
	}
	return nil
}

// tellSalvaged says what is in the new journal, what is lost, and what comes next.
func (a *app) tellSalvaged(j *journal.Journal, done journal.Salvaged) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s, %s of the log as they were.\n", j.Path(), plural(done.Machines, "record"), plural(int(done.Chain.Length), "event")) //nolint:gosec // counts events
	if done.Complete {
		fmt.Fprintln(&s, "The log is complete: nothing was sent that it does not name.")
	} else {
		fmt.Fprintf(&s, "The log may lack events; %s after a gap only served as evidence. What was not seen accepted or settled is in doubt.\n", plural(done.Beyond, "event"))
	}
	for _, lost := range []struct {
		n    int
		noun string
		what string
	}{
		{done.Rebuilt, "machine", "known from the log alone; name and list columns are lost"},
		{done.Missing, "machine", "lost altogether; run the campaign again with its list"},
		{done.Unreadable, "page", "not readable"},
	} {
		if lost.n > 0 {
			fmt.Fprintf(&s, "%s: %s.\n", plural(lost.n, lost.noun), lost.what)
		}
	}
	if _, err := fmt.Fprint(a.env.stdout, s.String()); err != nil {
		return err
	}
	if done.Machines > 0 {
		if err := a.statusOfAll(j, &statusFlags{outputFlag: outputFlag{output: "text"}}); err != nil {
			return err
		}
	}
	chain, err := j.Chain()
	return errors.Join(err, writeChain(a.env.stdout, "text", chain))
}
