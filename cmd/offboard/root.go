package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/input"
	"offboard/runner"
)

// app is what the commands share.
type app struct {
	env  environment // its streams are screened
	raw  environment // for what has to arrive byte for byte
	foot *footer     // of the terminal that reads stderr
	args []string    // the command was called with
	log  zerolog.Logger

	logFormat, logLevel, logFile string

	config configFlags
	notice *notice // of how the command ends; nil where nobody is told

	policy     *policy // of the machine, once it was read
	policyRead bool

	metrics *metrics // nil: nobody has asked for them
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, env environment) (code exitCode) {
	foot := &footer{w: env.stderr, size: env.size}
	env.stderr = foot // a question is put while progress is logged
	a := &app{env: env.screened(), raw: env, foot: foot, args: args, log: newLogger(env, "auto", zerolog.InfoLevel)}
	defer func() { a.metrics.end(code) }()
	defer func() {
		if value := recover(); value != nil {
			err := runner.Recovered(value)
			a.complain(err)
			a.notify(err)
			code = codeOf(err)
		}
	}()
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(a.env.stdout)
	root.SetErr(a.env.stderr)
	err := root.ExecuteContext(ctx)
	if decided := new(commandError); err != nil && ctx.Err() != nil && !errors.As(err, &decided) {
		err = stoppedBy(context.Cause(ctx), err) // which signal it was
	}
	if err != nil {
		a.complain(err)
	}
	a.notify(err)
	return codeOf(err)
}

// complain tells a person why the command did not do what it was asked to. An
// error without text has been told already.
func (a *app) complain(err error) {
	text := err.Error()
	if text == "" {
		return
	}
	event := a.log.Error().Int("exit_code", int(codeOf(err)))
	if hint := cmp.Or(hintOf(err), a.badRowsHint(err), a.config.blame(text)); hint != "" {
		event = event.Str("hint", hint)
	}
	event.Msg(text)
}

// badRowsHint is the command that goes on without the rows that were refused.
func (a *app) badRowsHint(err error) string {
	if bad := new(input.BadRowsError); !errors.As(err, &bad) {
		return ""
	}
	again := slices.Concat([]string{"offboard"}, a.args, []string{"--on-bad-row", "skip"})
	return "correct the rows, or leave them out and count them: " + commandLine(again...)
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "offboard",
		Short: "Retire a fleet of machines from Microsoft Defender for Endpoint",
		Long: `offboard takes a list of machines and offboards each of them from Microsoft
Defender for Endpoint: at most once each, within the service's limits of 100
calls a minute and 1,500 an hour. It can be killed at any instant and resumed.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := flagsFromEnvironment(cmd.Flags(), a.env.getenv); err != nil {
				return err
			}
			if err := a.configure(cmd); err != nil {
				return err
			}
			if err := a.configureLog(); err != nil {
				return err
			}
			a.tellConfig()
			return a.prepareNotice(cmd)
		},
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.logFormat, "log-format", "auto", "log as `console`, json, or auto (console on a terminal, json otherwise)")
	root.PersistentFlags().StringVar(&a.logFile, "log-file", "", "append the log to `file` as JSON lines; stderr keeps warnings and errors")
	root.PersistentFlags().StringVar(&a.logLevel, "log-level", "info", "log from this `level` on: trace, debug, info, warn, error")
	a.config.bind(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("profile", a.completeProfile)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &commandError{code: exitUsage, err: err, hint: fmt.Sprintf("see '%s --help'", cmd.CommandPath())}
	})
	root.AddCommand(
		a.planCommand(), a.runCommand(), a.resumeCommand(), a.cancelCommand(), a.abortCommand(),
		a.followCommand(), a.verifyCommand(), a.statusCommand(), a.campaignsCommand(), a.resolveCommand(),
		a.doctorCommand(), a.journalCommand(), a.demoCommand(), a.simulateCommand(),
		a.versionCommand(),
		a.stopCommand(), a.pauseCommand(), a.unpauseCommand(),
		a.reportCommand(),
		a.configCommand(),
	)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args = knownCommand
		completion.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	explainExitStatus(root)
	return root
}

// explainExitStatus puts the exit codes under every help text.
func explainExitStatus(root *cobra.Command) {
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitStatusHelp())
}

// knownCommand refuses what is no command of its parent, and says what could have
// been meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see '" + cmd.CommandPath() + " --help'"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return &commandError{code: exitUsage, hint: hint, err: fmt.Errorf("unknown command %q", args[0])}
}

func noArgs(cmd *cobra.Command, args []string) error { return exactArgs(0)(cmd, args) }

func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return &commandError{code: exitUsage, err: err, hint: "usage: " + cmd.UseLine()}
		}
		return nil
	}
}

// personal are the flags that somebody has to give by hand each time: what
// lives in an environment is given without thinking.
func personal(name string) bool {
	return strings.HasPrefix(name, "include-") ||
		slices.Contains([]string{"yes", "plan", "on-drift", "approve-wave", "retry", "retry-of", "again", "reason", "serve"}, name)
}

func environmentName(flag string) string {
	return "OFFBOARD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// flagsFromEnvironment sets each flag that was not given from OFFBOARD_<FLAG>, and
// notes on it that it did.
func flagsFromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		value := getenv(environmentName(f.Name))
		if f.Changed || value == "" || personal(f.Name) || failed != nil {
			return
		}
		// Set so that it counts as given: the command that resumes names it too.
		if err := flags.Set(f.Name, value); err != nil {
			failed = usageError("%s: %w", environmentName(f.Name), err)
			return
		}
		origin{kind: fromEnvironment, variable: environmentName(f.Name)}.note(f)
	})
	return failed
}
