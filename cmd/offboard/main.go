// Command offboard retires a fleet of machines from Microsoft Defender for
// Endpoint: at most once each, within the service's limits, resumable.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := withSignals(context.Background())
	code := run(ctx, os.Args[1:], processEnvironment())
	stop()
	os.Exit(int(code))
}

// interruption is why a context ended: the operator or the system asked.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return "interrupted by " + i.signal.String() }

// withSignals cancels the context at the first signal and ends the process at
// the second; the journal makes that as safe as a kill.
func withSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		cancel(interruption{first})
		os.Exit(int(codeOf(interruption{<-signals})))
	}()
	return ctx, func() { cancel(nil) }
}
