// Command offboard retires a fleet of machines from Microsoft Defender for
// Endpoint: at most once each, within the service's limits, resumable.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { runProcess(processEnvironment()) }

// runProcess is the command as a process, which ends with it.
func runProcess(env environment) {
	ctx, stop := withSignals(context.Background(), env.hangUp)
	code := run(ctx, os.Args[1:], env)
	stop()
	os.Exit(int(code))
}

// interruption is why a context ended: the operator or the system asked.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return "interrupted by " + i.signal.String() }

// withSignals cancels the context at the first signal and ends the process at
// the second; the journal makes that as safe as a kill. A hang-up that hangUp
// makes use of stops nothing, and neither does one under nohup.
//
// Taking SIGPIPE has a write to a broken pipe fail, standard output and error
// included, where Go would end the process in the middle of a campaign.
func withSignals(parent context.Context, hangUp func() bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	nohup := signal.Ignored(syscall.SIGHUP)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		stopping := false
		for sig := range signals {
			switch {
			case sig == syscall.SIGHUP && (hangUp() || nohup):
			case !stopping:
				stopping = true
				cancel(interruption{sig})
			case sig != syscall.SIGHUP: // a terminal that closes may send several
				os.Exit(int(codeOf(interruption{sig})))
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
