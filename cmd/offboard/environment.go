package main

import (
	"io"
	"net/http"
	"os"
	"os/user"

	"golang.org/x/term"
)

// environment is all that the commands know of the world around them.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	// interactive says that a person can answer; terminal that one reads
	// stderr.
	interactive, terminal bool
	// transport replaces the network in tests.
	transport http.RoundTripper
}

func processEnvironment() environment {
	return environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv:      os.Getenv,
		interactive: isTerminal(os.Stdin) && isTerminal(os.Stderr),
		terminal:    isTerminal(os.Stderr),
	}
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
