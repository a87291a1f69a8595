package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"offboard/internal/door"
)

func (a *app) stopCommand() *cobra.Command {
	var f askFlags
	cmd := a.askCommand(&f, &cobra.Command{
		Use:   "stop",
		Short: "Stop the run that is under way",
		Long: `Has the run that holds the journal stop as at SIGTERM: what is in flight is
finished and recorded, and the run ends with 143. 'offboard resume' goes on with
it. Where there is no run, nothing is to be done, which is no error.`,
		Example: "  offboard stop --wait",
	}, func(ctx context.Context, path string) (string, error) {
		if f.wait {
			return "No run holds the journal.", a.stopRunning(ctx, path)
		}
		err := a.ask(ctx, path, door.Stop)
		if errors.Is(err, errNoRun) {
			return "No run holds the journal.", nil
		}
		return "The run is stopping.", err
	})
	cmd.Flags().BoolVar(&f.wait, "wait", false, "return when the run has ended and the journal is free")
	return cmd
}

func (a *app) pauseCommand() *cobra.Command {
	return a.askCommand(&askFlags{}, &cobra.Command{
		Use:   "pause",
		Short: "Pause the run that is under way",
		Long: `Has the run that holds the journal send nothing more until 'offboard unpause'.
What is in flight is finished and recorded, machines in doubt are still asked
about, and --max-duration and --window run on. A run that begins later is not
paused, so where there is no run this is refused.`,
		Example: "  offboard pause",
	}, func(ctx context.Context, path string) (string, error) {
		err := a.ask(ctx, path, door.Pause)
		if errors.Is(err, errNoRun) {
			err = usageError("%w; there is nothing to pause", err)
		}
		return "The run is paused; 'offboard unpause' has it go on.", err
	})
}

func (a *app) unpauseCommand() *cobra.Command {
	return a.askCommand(&askFlags{}, &cobra.Command{
		Use:   "unpause",
		Short: "Have a paused run go on",
		Long: `Has the run that holds the journal go on after 'offboard pause'. Where there is no
run, or none that is paused, nothing is to be done, which is no error.`,
		Example: "  offboard unpause",
	}, func(ctx context.Context, path string) (string, error) {
		err := a.ask(ctx, path, door.Unpause)
		if errors.Is(err, errNoRun) {
			return "No run holds the journal.", nil
		}
		return "The run goes on.", err
	})
}
