package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"offboard/defender"
	"offboard/journal"
	"offboard/runner"
)

func (a *app) doctorCommand() *cobra.Command {
	var f campaignFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check sign-in, permissions, the API and the journal, and change nothing",
		Long: `Signs in, looks at the token, asks the API for one page of actions, and opens
the journal for reading. Says what each command would lack.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), &f) },
	}
	f.connectionFlags.bind(cmd.Flags())
	f.quotaFlags.bind(cmd.Flags())
	cmd.Flags().StringVar(&f.journal, "journal", "", "journal `file` (default: one per tenant and cloud in the state directory)")
	return cmd
}

// finding is one line of the doctor's report.
type finding struct {
	what string
	err  error
	note string
}

func (a *app) doctor(ctx context.Context, f *campaignFlags) error {
	f.retryFor = runner.DefaultRetryFor
	s, err := a.open(ctx, f, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.close()
	findings := []finding{
		{what: "sign-in", note: fmt.Sprintf("tenant %s, app %s, %s", s.tenant.ID, s.claims.AppID, s.method)},
		{what: "permission to offboard (run, resume)", note: "Machine.Offboard"},
		s.checkReading(ctx),
		s.checkJournal(),
	}
	var failed error
	for _, c := range findings {
		verdict := "ok"
		if c.err != nil {
			verdict, c.note, failed = "LACKS", c.err.Error(), errors.Join(failed, c.err)
			if hint := hintOf(c.err); hint != "" {
				c.note += " (" + hint + ")"
			}
		}
		if _, err := fmt.Fprintf(a.env.stdout, "%-6s %s: %s\n", verdict, c.what, c.note); err != nil {
			return err
		}
	}
	if failed != nil {
		return &commandError{code: codeOf(failed), err: errors.New("")}
	}
	return nil
}

// checkReading asks for one action: it shows that the API is there, and
// whether this app may list.
func (s *session) checkReading(ctx context.Context) finding {
	c := finding{what: "permission to list (resolving names, settling doubts, adopting what other hosts did)", note: "Machine.Read.All or Machine.ReadWrite.All"}
	if c.err = s.openLists(); c.err != nil {
		return c
	}
	token, err := s.lists.Take(ctx)
	if err != nil {
		c.err = err
		return c
	}
	_, c.err = s.client.Actions(ctx, defender.ActionFilter{Type: defender.TypeOffboard}, defender.Page{Top: 1})
	token.Answered()
	return c
}

func (s *session) checkJournal() finding {
	if s.journal == nil {
		return finding{what: "journal", note: "none yet at " + s.path}
	}
	return finding{what: "journal", note: s.journal.Path()}
}
