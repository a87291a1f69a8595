package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/user"

	"golang.org/x/term"

	"offboard/journal"
)

// environment is all that the commands know of the world around them.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	// interactive says that a person can answer; terminal and display that one
	// reads stderr and stdout; attached that a terminal is there at all.
	interactive, terminal, display, attached bool
	// size is the size of the terminal that reads stderr, nil where there is none or
	// none that moves its cursor when told to; width is how wide the one is that reads
	// stdout, nil where there is none.
	size  func() (width, height int)
	width func() int
	// continued calls back whenever the process goes on after it was suspended, until
	// its context is done; nil where nobody suspends it.
	continued func(ctx context.Context, back func())
	// logFile is open if it was asked for.
	logFile *logFile
	// transport replaces the network in tests.
	transport http.RoundTripper
	// doors are where processes that hold a journal answer; nil where none does.
	doors doorway
	// policy is where the machine's policy is; nil where none is looked for.
	policy func() (policyPlace, error)
	// config is where the account's configuration is if none is named; nil where
	// none is looked for.
	config func() (string, error)
	// approver names who approves a plan, and owner whom a file belongs to.
	approver func() string
	owner    owner
	// opened is shown each journal in tests, which spoil its disk.
	opened func(*journal.Journal)
}

func processEnvironment() environment {
	in, out, err := isTerminal(os.Stdin), isTerminal(os.Stdout), isTerminal(os.Stderr)
	e := environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv:      os.Getenv,
		interactive: in && err, terminal: err, display: out, attached: in || out || err,
		logFile: new(logFile), doors: ownDoors(os.Getenv), policy: machinePolicy, config: ownConfig, approver: operator, owner: fileOwner,
	}
	if err && movesCursor(os.Stderr) {
		e.size = func() (int, int) { return sizeOf(os.Stderr) }
		e.continued = onContinue
	}
	if out {
		e.width = func() int { width, _ := sizeOf(os.Stdout); return width }
	}
	return e
}

// sizeOf is a terminal's size, 0 by 0 if it does not tell.
func sizeOf(f *os.File) (width, height int) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// screened is the environment with nothing left on its streams that a terminal
// would obey.
func (e environment) screened() environment {
	e.stdout, e.stderr = &screen{w: e.stdout}, &screen{w: e.stderr}
	return e
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// operator names who runs the command, for the journal: account@host.
func operator() string {
	account, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		account = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return account + "@" + host
}
