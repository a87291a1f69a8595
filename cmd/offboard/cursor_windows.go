package main

import (
	"context"
	"os"

	"golang.org/x/sys/windows"
)

// movesCursor has a console take escapes, and says whether it does: those before
// Windows 10 do not.
func movesCursor(f *os.File) bool {
	console, mode := windows.Handle(f.Fd()), uint32(0)
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// onContinue: no process is suspended from a console here.
func onContinue(context.Context, func()) {}
