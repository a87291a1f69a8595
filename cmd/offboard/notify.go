package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offboard/defender"
	"offboard/internal/notify"
	"offboard/journal"
	"offboard/runner"
)

// noticed are the commands whose end is told.
var noticed = []string{"run", "resume", "follow", "verify", "cancel", "abort"}

// notice is what is told of a command when it has ended. What a command has found
// out by then is in the summary; on a nil notice every method does nothing.
type notice struct {
	receiver *notify.Receiver
	cmd      *cobra.Command
	summary  notify.Summary
	waiting  int // machines that following began with; unknown for another command
}

const unknownWaiting = -1

// prepareNotice reads who is to be told of the command's end. A setting that cannot
// be used stops the command before its first call: it would fail in silence when
// it is needed. A dry run tells nobody.
func (a *app) prepareNotice(cmd *cobra.Command) error {
	if !slices.Contains(noticed, cmd.Name()) {
		return nil
	}
	f := connectionFlags{caFile: cmd.Flag("ca-file").Value.String(), tenant: cmd.Flag("tenant").Value.String()}
	receiver, err := a.receiver(&f)
	if err != nil || receiver == nil {
		return err
	}
	if dry := cmd.Flag("dry-run"); dry != nil && dry.Value.String() == "true" {
		return nil
	}
	a.notice = &notice{receiver: receiver, cmd: cmd, summary: a.summaryOf(cmd, &f), waiting: unknownWaiting}
	return nil
}

// summaryOf is what is known of a command from the beginning.
func (a *app) summaryOf(cmd *cobra.Command, f *connectionFlags) notify.Summary {
	return notify.Summary{
		Command: cmd.Name(), TenantID: a.journalTenant(f).ID, Operator: operator(), Version: versionString(),
		StartedAt: time.Now().UTC(),
	}
}

// receiver is who is told; nil if OFFBOARD_NOTIFY_URL is not set.
func (a *app) receiver(f *connectionFlags) (*notify.Receiver, error) {
	link, err := a.setSecret("OFFBOARD_NOTIFY_URL")
	if err != nil || link == "" {
		return nil, err
	}
	secret, err := a.setSecret("OFFBOARD_NOTIFY_SECRET")
	if err != nil {
		return nil, err
	}
	transport, err := a.transport(f)
	if err != nil {
		return nil, err
	}
	r, err := notify.New(notify.Config{
		URL: link, Secret: secret, Form: notify.Form(a.env.getenv("OFFBOARD_NOTIFY_FORM")),
		Transport: transport, UserAgent: "offboard/" + versionString(),
	})
	if err != nil {
		return nil, &commandError{
			code: exitUsage, err: fmt.Errorf("OFFBOARD_NOTIFY_URL, _SECRET and _FORM: %w", err),
			hint: "'offboard doctor --notify' tries them; nothing was sent",
		}
	}
	return r, nil
}

// setSecret is the secret that a variable holds, or the file that the variable with
// _FILE names; "" neither.
func (a *app) setSecret(name string) (string, error) {
	value, path := strings.TrimSpace(a.env.getenv(name)), a.env.getenv(name+"_FILE")
	switch {
	case path == "":
		return value, nil
	case value != "":
		return "", usageError("%s and %s_FILE are both set; leave one of them out", name, name)
	}
	secret, err := defender.ReadSecretFile(path)
	if err != nil {
		refusal := &commandError{code: exitUsage, err: fmt.Errorf("%s_FILE: %w", name, err)}
		if errors.Is(err, defender.ErrExposed) {
			refusal.hint = commandLine("chmod", "600", path)
		}
		return "", refusal
	}
	return secret, nil
}

// about takes what a campaign has come to.
func (n *notice) about(r result, next string) {
	if n == nil {
		return
	}
	s := &n.summary
	s.Campaign, s.Ticket, s.TenantID, s.Counts, s.Next = r.Campaign, r.Ticket, r.TenantID, r.Counts, next
	s.Calls = &notify.Calls{Sent: r.Calls.Sent, Throttled: r.Calls.Throttled}
	s.Chain = &notify.Chain{Length: r.Chain.Length, Head: r.Chain.Head}
}

// undone takes what came of taking a campaign back.
func (n *notice) undone(u *undoing) {
	if n == nil {
		return
	}
	n.about(result{Campaign: u.Campaign, TenantID: u.TenantID, Counts: u.Counts, Calls: u.Calls, Chain: u.Chain}, u.next())
	n.summary.Results = map[string]int{}
	for r, machines := range u.Results {
		n.summary.Results[string(r)] = machines
	}
}

// verified takes what the inventory says of a campaign.
func (n *notice) verified(v verification) {
	if n == nil {
		return
	}
	n.summary.Campaign, n.summary.Results = v.Campaign, map[string]int{}
	for f, machines := range v.Counts {
		n.summary.Results[string(f)] = machines
	}
}

// follows notes how many machines are waited for before the first look.
func (n *notice) follows(c *journal.Campaign) {
	if n == nil {
		return
	}
	if counts, err := c.Counts(); err == nil {
		n.waiting = counts.Of(journal.Accepted)
	}
}

// eventOf is what an exit code is called where it is told; "" what is not told at
// all: the other run tells of itself.
func eventOf(code exitCode) notify.Event {
	switch code {
	case exitOK, exitRejected, exitInDoubt, exitBudget:
		return notify.Ended
	case exitGuard:
		return notify.StoppedByGuard
	case exitSignIn:
		return notify.SignInFailed
	case exitUsage:
		return notify.Refused
	case exitInterrupted, exitTerminated:
		return notify.Interrupted
	case exitUnreachable:
		return notify.Unreachable
	case exitLocked:
		return ""
	default:
		return notify.Failed
	}
}

// worthTelling keeps quiet what a person at the terminal reads anyway, and the look
// of every hour until it is the last.
func (n *notice) worthTelling(event notify.Event, interactive bool) bool {
	switch {
	case event == "", event == notify.Refused && interactive:
		return false
	case event == notify.Ended && n.cmd.Name() == "follow":
		last := n.summary.Counts[journal.Accepted.String()] == 0
		return last && n.waiting != 0
	}
	return true
}

// notify tells how the command has ended, after all else was said and the journal is
// free for the next. It has a time of its own, so that the first signal does not cut
// it off; the second ends the process whatever it does. Nothing that goes wrong here
// changes what the command has come to.
func (a *app) notify(err error) {
	n := a.notice
	a.notice = nil // a panic in here is not told by another
	if n == nil || !n.worthTelling(eventOf(codeOf(err)), a.env.interactive) {
		return
	}
	defer func() {
		if value := recover(); value != nil {
			a.notNotified(n, runner.Recovered(value))
		}
	}()
	if err := n.receiver.Post(context.Background(), n.complete(err)); err != nil {
		a.notNotified(n, err)
		return
	}
	a.log.Info().Str("receiver", n.receiver.Host()).Str("form", string(n.receiver.Form())).Msg("notified")
}

func (a *app) notNotified(n *notice, err error) {
	a.log.Warn().Str("receiver", n.receiver.Host()).AnErr("error", err).Msg("nobody was notified, which changes nothing else")
}

// complete is the summary with what the command has ended with.
func (n *notice) complete(err error) notify.Summary {
	s, code := n.summary, codeOf(err)
	s.Event, s.EndedAt = eventOf(code), time.Now().UTC()
	s.ExitCode, s.ExitMeaning, s.ExitReason = int(code), code.reason(), code.reason()
	if err != nil {
		s.ExitReason, s.Hint = cmp.Or(err.Error(), s.ExitReason), hintOf(err)
	}
	if s.Campaign == "" { // it was not found, or not begun; the flag has what it would be
		s.Campaign = n.cmd.Flag("campaign").Value.String()
	}
	return s
}

// examineNotice says who is told of a run's end, and tries it if it was asked for.
func (a *app) examineNotice(ctx context.Context, f *doctorFlags) finding {
	c := finding{what: "notifications", note: "none: OFFBOARD_NOTIFY_URL is not set"}
	r, err := a.receiver(&f.connectionFlags)
	switch {
	case err != nil:
		c.err = err
		return c
	case r == nil && f.notify:
		c.err = usageError("--notify: OFFBOARD_NOTIFY_URL is not set")
		return c
	case r == nil:
		return c
	}
	c.note = fmt.Sprintf("to %s in the form %s, not signed", r.Host(), r.Form())
	if r.Signed() {
		c.note = fmt.Sprintf("to %s in the form %s, signed", r.Host(), r.Form())
	}
	if !f.notify {
		return c
	}
	s := a.summaryOf(&cobra.Command{Use: "doctor"}, &f.connectionFlags)
	s.Event, s.EndedAt, s.ExitMeaning, s.ExitReason = notify.Test, s.StartedAt, exitOK.reason(), "a test, by 'offboard doctor --notify'"
	if err := r.Post(ctx, s); err != nil {
		c.err = &commandError{code: exitUnreachable, err: fmt.Errorf("to %s: %w", r.Host(), err)}
		return c
	}
	c.note += "; a test event was taken"
	return c
}
