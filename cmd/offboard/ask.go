package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/door"
	"offboard/journal"
)

// dialer leads to the door of a journal.
func (a *app) dialer(path string) door.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		if a.env.doors == nil {
			return nil, door.ErrNobody
		}
		return a.env.doors.Dial(ctx, path)
	}
}

// inUse says whether another process holds a journal, by [journal.ErrLocked].
func inUse(path string) error {
	j, err := journal.Open(path, journal.Tenant{}, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return j.Close()
}

// unanswered is the error of a journal that a process holds which does not
// answer.
func unanswered(err error) error {
	return &commandError{
		code: exitLocked, err: err,
		hint: "the process that holds it does not answer: it is only beginning or ending, is no run, could open no socket, or belongs to another account; try again, or end it with SIGTERM",
	}
}

// stopTime bounds how long a run is waited for that was asked to stop: some
// requests may be in flight, and each takes as long as --timeout at most.
const stopTime = 5 * time.Minute

// stopRunning asks the run that holds a journal to stop, and waits until the
// journal can be opened. Without a run it returns at once.
func (a *app) stopRunning(ctx context.Context, path string) error {
	if err := a.ask(ctx, path, door.Stop); err != nil && !errors.Is(err, errNoRun) {
		return err
	}
	return awaitFree(ctx, path)
}

// awaitFree returns when nobody holds a journal.
func awaitFree(ctx context.Context, path string) error {
	limit := time.Now().Add(stopTime)
	for {
		err := inUse(path) // waits a second for the lock
		switch {
		case !errors.Is(err, journal.ErrLocked):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(limit):
			return unanswered(fmt.Errorf("it has not stopped for %s: %w", stopTime, err))
		}
	}
}

// errNoRun says that nobody holds the journal.
var errNoRun = errors.New("no run holds the journal")

// ask has the run that holds a journal do something. The error is [errNoRun]
// when there is none.
func (a *app) ask(ctx context.Context, path string, what func(context.Context, door.Dial) error) error {
	err := what(ctx, a.dialer(path))
	switch {
	case errors.Is(err, door.ErrRefused):
		return &commandError{code: exitUsage, err: err}
	case err == nil || ctx.Err() != nil:
		return err
	}
	if locked := inUse(path); locked != nil {
		if errors.Is(locked, journal.ErrLocked) {
			return unanswered(locked)
		}
		return locked
	}
	return errNoRun
}

type askFlags struct {
	offlineFlags
	wait bool
}

// askCommand is a command that has the run do something.
func (a *app) askCommand(f *askFlags, cmd *cobra.Command, run func(ctx context.Context, path string) (string, error)) *cobra.Command {
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := a.existingJournal(&f.offlineFlags, a.journalTenant(&f.connectionFlags))
		if err != nil {
			return err
		}
		words, err := run(cmd.Context(), path)
		if err != nil {
			return missing(path, err)
		}
		_, err = fmt.Fprintln(a.env.stdout, words)
		return err
	}
	f.bindTenant(cmd.Flags())
	f.bindJournal(cmd.Flags())
	return cmd
}
