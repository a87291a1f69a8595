package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"offboard/journal"
)

func (a *app) journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Check, export or compact the journal",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.journalSubcommand("check", "Verify checksums, structure, transitions and counts; never writes", a.journalCheck),
		a.journalSubcommand("export", "Write every record and event as JSON lines to stdout", a.journalExport),
		a.journalSubcommand("compact", "Rewrite the journal without the space that is no longer used", a.journalCompact),
	)
	return cmd
}

func (a *app) journalSubcommand(name, short string, do func(context.Context, *offlineFlags) error) *cobra.Command {
	var f offlineFlags
	cmd := &cobra.Command{
		Use: name, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return do(cmd.Context(), &f) },
	}
	f.bindTenant(cmd.Flags())
	cmd.Flags().StringVar(&f.journal, "journal", "", "journal `file` (default: one per tenant and cloud in the state directory)")
	return cmd
}

func (a *app) journalCheck(ctx context.Context, f *offlineFlags) error {
	j, err := a.openOffline(f, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	report, err := j.Check(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.env.stdout, "%s: sound: %s, %s, %s.\n", j.Path(),
		plural(report.Campaigns, "campaign"), plural(report.Records, "record"), plural(report.Events, "event"))
	return err
}

func (a *app) journalExport(_ context.Context, f *offlineFlags) error {
	j, err := a.openOffline(f, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	return j.Export(a.env.stdout)
}

func (a *app) journalCompact(_ context.Context, f *offlineFlags) error {
	j, err := a.openOffline(f, journal.Options{})
	if err != nil {
		return err
	}
	before, err := os.Stat(j.Path())
	if err != nil {
		return errors.Join(err, j.Close())
	}
	if err := j.Shrink(); err != nil {
		return err
	}
	after, err := os.Stat(j.Path())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.env.stdout, "%s: %s bytes, before %s.\n", j.Path(), grouped(int(after.Size())), grouped(int(before.Size())))
	return err
}
