package main

import (
	"regexp"
	"runtime"
	"strings"
)

var (
	plainPOSIX      = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)
	plainPowerShell = regexp.MustCompile(`^[A-Za-z0-9_=:./\\-]+$`)
)

// commandLine writes a command so that it can be pasted into the shell that
// people use on this platform: PowerShell on Windows, a POSIX shell elsewhere.
func commandLine(args ...string) string { return quoteFor(runtime.GOOS, args) }

func quoteFor(goos string, args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = quoteWord(goos, arg)
	}
	return strings.Join(quoted, " ")
}

func quoteWord(goos, word string) string {
	switch {
	case goos == "windows" && plainPowerShell.MatchString(word), goos != "windows" && plainPOSIX.MatchString(word):
		return word
	case goos == "windows":
		return "'" + strings.ReplaceAll(word, "'", "''") + "'"
	default:
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
}
