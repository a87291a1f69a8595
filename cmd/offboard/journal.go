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
		Short: "Check, export, compact or recover the journal",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.journalCheckCommand(),
		a.journalRecoverCommand(),
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
	f.bindJournal(cmd.Flags())
	return cmd
}

func (a *app) journalCheckCommand() *cobra.Command {
	var noted []string
	cmd := a.journalSubcommand("check", "Verify checksums, structure, transitions, chain and counts; never writes",
		func(ctx context.Context, f *offlineFlags) error { return a.journalCheck(ctx, f, noted) })
	cmd.Long = `Verifies the journal: the file's structure, every checksum, the hash chain of its
log, every transition, and that the log replays to the records. It never writes.

A log that was cut off or written anew is found out with the head that a run's
last words told, which --head takes; with several, the log must have been in
every one of these states.`
	cmd.Example = "  offboard journal check\n  offboard journal check --head 32:9cbed4d66ee23753458ceaec1affca0f602b58cec7b7ef245d4bde7b0c7485d3"
	cmd.Flags().StringArrayVar(&noted, "head", nil, "a state that the log must have been in, as `LENGTH:HEAD` from a run's last words")
	return cmd
}

func (a *app) journalCheck(ctx context.Context, f *offlineFlags, noted []string) error {
	heads, err := parseHeads(noted)
	if err != nil {
		return err
	}
	j, err := a.openOffline(f, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	report, err := j.Check(ctx, heads...)
	if err != nil {
		return errors.Join(a.tellProblems(report), err)
	}
	_, err = fmt.Fprintf(a.env.stdout, "%s: sound: %s, %s, %s.\n", j.Path(),
		plural(report.Campaigns, "campaign"), plural(report.Records, "record"), plural(report.Events, "event"))
	return errors.Join(err, writeChain(a.env.stdout, "text", report.Chain))
}

func parseHeads(noted []string) ([]journal.Chain, error) {
	heads := make([]journal.Chain, len(noted))
	for i, s := range noted {
		var err error
		if heads[i], err = journal.ParseChain(s); err != nil {
			return nil, usageError("--head: %w", err)
		}
	}
	return heads, nil
}

func (a *app) tellProblems(r journal.Report) error {
	for _, problem := range r.Problems {
		if _, err := fmt.Fprintf(a.env.stdout, "%q\n", problem); err != nil {
			return err
		}
	}
	if r.BadEvent == 0 {
		return nil
	}
	_, err := fmt.Fprintf(a.env.stdout, "The first bad event is %d.\n", r.BadEvent)
	return err
}

func (a *app) journalExport(_ context.Context, f *offlineFlags) error {
	j, err := a.openOffline(f, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	if a.raw.display {
		return j.Export(a.env.stdout)
	}
	return j.Export(a.raw.stdout) // a copy to be kept and verified, byte for byte
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
