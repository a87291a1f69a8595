package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"offboard/journal"
	"offboard/runner"
)

func (a *app) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check sign-in, permissions, the API and the journal, and change nothing",
		Long: `Signs in, looks at the token, asks the API for one page of actions, and opens
the journal for reading. Says what each command would lack. With --notify it also
posts a test event to the link in OFFBOARD_NOTIFY_URL.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), &f) },
	}
	f.connectionFlags.bind(cmd.Flags())
	f.quotaFlags.bind(cmd.Flags())
	f.bindJournal(cmd.Flags())
	cmd.Flags().BoolVar(&f.notify, "notify", false, "post a test event to the link in OFFBOARD_NOTIFY_URL")
	return cmd
}

type doctorFlags struct {
	campaignFlags
	notify bool
}

// finding is one line of the doctor's report.
type finding struct {
	what, note string
	err        error
}

func (a *app) doctor(ctx context.Context, f *doctorFlags) error {
	f.retryFor = runner.DefaultRetryFor
	if err := f.validateConnection(); err != nil {
		return err
	}
	s := &session{app: a, f: &f.campaignFlags, tenant: a.journalTenant(&f.connectionFlags), reading: true}
	defer s.close()
	if err := s.locate(); err != nil {
		return err
	}
	findings := []finding{a.examinePolicy(ctx), s.examineJournal(), a.examineNotice(ctx, f)}
	var err error
	if s.connection, err = a.dial(&f.connectionFlags, s.tenant); err != nil {
		return err
	}
	if err := s.signIn(ctx); err != nil {
		findings = append(findings, finding{"sign-in", s.method, err})
	} else {
		findings = append(findings,
			finding{what: "sign-in", note: fmt.Sprintf("tenant %s, app %s, %s", s.tenant.ID, s.appID, s.method)},
			s.examineOffboarding(), s.examineReading(ctx))
	}
	err = a.reportFindings(findings)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (a *app) reportFindings(findings []finding) error {
	code := exitOK
	for _, c := range findings {
		verdict := "ok"
		if c.err != nil {
			verdict, c.note, code = "FAILS", c.err.Error(), graver(code, codeOf(c.err))
			if hint := hintOf(c.err); hint != "" {
				c.note += " (" + hint + ")"
			}
		}
		if _, err := fmt.Fprintf(a.env.stdout, "%-6s %s: %s\n", verdict, c.what, c.note); err != nil {
			return err
		}
	}
	return outcomeError(code, nil)
}

// examinePolicy says what this machine asks of every run.
func (a *app) examinePolicy(ctx context.Context) finding {
	p, err := a.inForce(ctx)
	switch {
	case err != nil:
		return finding{what: "policy", err: err}
	case p == nil:
		return finding{what: "policy", note: "none on this machine"}
	}
	return finding{what: "policy", note: fmt.Sprintf("%s, SHA-256 %s", p.Path, p.SHA256)}
}

// examineOffboarding says whether the token allows what run and resume need.
func (s *session) examineOffboarding() finding {
	c := finding{what: "offboarding (run, resume)", note: "Machine.Offboard"}
	if s.claims.Opaque {
		c.note = "not known: the token cannot be read"
		return c
	}
	warnings, err := s.claims.CheckOffboard(s.tenant.ID, s.cloud.Audiences()...)
	c.err = err
	if len(warnings) > 0 {
		c.note += "; " + strings.Join(warnings, "; ")
	}
	return c
}

// examineReading asks for one action: that shows whether the API is there, and
// whether this app may list.
func (s *session) examineReading(ctx context.Context) finding {
	c := finding{
		what: "listing (settling doubts, adopting what other hosts did, --resolve)",
		note: "Machine.Read.All or Machine.ReadWrite.All",
	}
	if c.err = s.openLists(); c.err == nil {
		c.err = s.directory.Probe(ctx)
	}
	return c
}

func (s *session) examineJournal() finding {
	err := s.openJournal(journal.Options{ReadOnly: true})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{what: "journal", note: "none yet at " + s.path}
	case err != nil:
		return finding{what: "journal", err: err}
	}
	return finding{what: "journal", note: s.journal.Path()}
}
