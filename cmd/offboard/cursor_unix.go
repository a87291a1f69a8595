//go:build !windows

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// movesCursor says that a terminal moves its cursor when told to.
func movesCursor(*os.File) bool { return true }

// onContinue calls back whenever the process goes on after it was suspended, until
// ctx is done.
func onContinue(ctx context.Context, back func()) {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	for {
		select {
		case <-ctx.Done():
			return
		case <-continued:
			back()
		}
	}
}
