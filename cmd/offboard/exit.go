package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"offboard/defender"
	"offboard/input"
	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// exitCode is what the process says to its caller. The codes are a contract.
type exitCode int

const (
	exitOK          exitCode = 0
	exitUnexpected  exitCode = 1
	exitUsage       exitCode = 2
	exitRejected    exitCode = 3
	exitInDoubt     exitCode = 4
	exitGuard       exitCode = 5
	exitBudget      exitCode = 6
	exitSignIn      exitCode = 7
	exitLocked      exitCode = 8
	exitJournal     exitCode = 9
	exitUnreachable exitCode = 10
	exitWork        exitCode = 11
	exitInterrupted exitCode = 130
	exitTerminated  exitCode = 143
)

// meanings are printed in every help text, in this order.
var meanings = []struct {
	code exitCode
	text string
}{
	{exitOK, "every machine of the campaign is accepted or settled"},
	{exitUnexpected, "an unexpected error"},
	{exitUsage, "wrong usage or a bad list; nothing was sent"},
	{exitRejected, "some machines were rejected, failed, timed out or were cancelled"},
	{exitInDoubt, "some machines are in doubt"},
	{exitGuard, "stopped by a guard, a plan, a wave or a policy; or the campaign was aborted"},
	{exitBudget, "stopped by a budget, or still waiting (follow); work remains"},
	{exitSignIn, "sign-in, permission or trust"},
	{exitLocked, "the journal is locked by another run"},
	{exitJournal, "the journal belongs elsewhere or is damaged"},
	{exitUnreachable, "the service could not be reached; resumable"},
	{exitWork, "plan --detailed-exitcode: there is work to do"},
	{exitInterrupted, "interrupted (SIGINT); resumable"},
	{exitTerminated, "terminated (SIGTERM); resumable"},
}

func exitStatusHelp() string {
	s := "EXIT STATUS\n"
	for _, m := range meanings {
		s += fmt.Sprintf("  %3d  %s\n", m.code, m.text)
	}
	return s
}

func (c exitCode) reason() string {
	for _, m := range meanings {
		if m.code == c {
			return m.text
		}
	}
	return ""
}

// commandError is an error with the code it ends the process with and a hint
// for the person who reads it.
type commandError struct {
	code exitCode
	hint string
	err  error
}

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &commandError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func guardError(hint, format string, args ...any) error {
	return &commandError{code: exitGuard, hint: hint, err: fmt.Errorf(format, args...)}
}

// codeOf is the one place where an error becomes an exit code. Where an error
// is several things at once, the earlier row wins.
func codeOf(err error) exitCode {
	var (
		command *commandError
		list    *input.Error
		rows    *input.BadRowsError
		signal  interruption
		api     *defender.Error
	)
	switch {
	case err == nil:
		return exitOK
	case isAny(err, journal.ErrForeign, journal.ErrNotAJournal, journal.ErrVersion, journal.ErrDamaged, journal.ErrReplaced):
		return exitJournal
	case errors.Is(err, journal.ErrLocked):
		return exitLocked
	case errors.As(err, &command):
		return command.code
	case isAny(err, journal.ErrStopped, limiter.ErrClosed, limiter.ErrBusy, runner.ErrPanic):
		return exitUnexpected
	case errors.Is(err, context.Canceled) && errors.As(err, &signal):
		return signal.code()
	case errors.As(err, &list), errors.As(err, &rows),
		isAny(err, journal.ErrNoCampaign, runner.ErrCampaignName, runner.ErrConfig, runner.ErrDivision):
		return exitUsage
	case errors.Is(err, runner.ErrTenantUnread):
		return exitSignIn
	case isAny(err, runner.ErrFailures, runner.ErrWaveHeld):
		return exitGuard
	case isAny(err, runner.ErrBudget, runner.ErrWaveUnconfirmed):
		return exitBudget
	case errors.As(err, &api) && api.Meaning == defender.Stop:
		return exitSignIn
	case errors.As(err, &signal):
		return signal.code()
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, defender.ErrTokenRefused):
		return exitSignIn
	case isAny(err, runner.ErrUnreachable, defender.ErrUnreachable),
		errors.As(err, &api) && api.Meaning != defender.Refused:
		return exitUnreachable // or answers with nothing of use
	default:
		return exitUnexpected
	}
}

func (i interruption) code() exitCode {
	if i.signal == os.Interrupt {
		return exitInterrupted
	}
	return exitTerminated
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// hintOf finds what a person can do about an error.
func hintOf(err error) string {
	var (
		command *commandError
		list    *input.Error
		api     *defender.Error
		record  *journal.Error
		quota   *limiter.Error
	)
	switch {
	case errors.As(err, &command) && command.hint != "":
		return command.hint
	case errors.As(err, &list):
		return list.Hint
	case errors.As(err, &record) && record.Hint != "":
		return record.Hint
	case errors.As(err, &quota) && ledgerHint(quota) != "":
		return ledgerHint(quota)
	case errors.As(err, &api):
		return api.Hint
	}
	return ""
}

// campaignCode is the code of a campaign as its counts stand, when nothing
// stopped the run itself.
func campaignCode(c journal.Counts) exitCode {
	switch {
	case c.Of(journal.InDoubt)+c.Of(journal.Sending) > 0:
		return exitInDoubt
	case c.Of(journal.Planned) > 0:
		return exitBudget
	default:
		return endedCode(c)
	}
}

// endedCode is the code of the machines that are settled.
func endedCode(c journal.Counts) exitCode {
	if c.Of(journal.Rejected)+c.Of(journal.Failed)+c.Of(journal.TimedOut)+c.Of(journal.Cancelled) > 0 {
		return exitRejected
	}
	return exitOK
}

// precedence lists the codes from the one that outranks all to the least.
var precedence = []exitCode{
	exitJournal, exitUnexpected, exitSignIn, exitInterrupted, exitTerminated,
	exitUnreachable, exitGuard, exitInDoubt, exitBudget, exitRejected,
}

// graver returns the code that outranks the other.
func graver(a, b exitCode) exitCode {
	for _, c := range precedence {
		if a == c || b == c {
			return c
		}
	}
	return max(a, b)
}
