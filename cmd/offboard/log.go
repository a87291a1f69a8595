package main

import (
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// newLogger takes the environment with its bare streams: colours are escapes too.
func newLogger(env environment, format string, level zerolog.Level) zerolog.Logger {
	return loggerTo(onStderr(env, format), level)
}

func loggerTo(w io.Writer, level zerolog.Level) zerolog.Logger {
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// onStderr is how the log is shown; workers log at the same time.
func onStderr(env environment, format string) io.Writer {
	if onConsole(env, format) {
		return zerolog.ConsoleWriter{
			Out: zerolog.SyncWriter(env.stderr), TimeFormat: time.TimeOnly,
			NoColor:       !env.terminal || env.getenv("NO_COLOR") != "",
			FormatPrepare: screenMessage,
		}
	}
	return zerolog.SyncWriter(&screen{w: env.stderr})
}

// screenMessage does for a message what the console form does for fields only, and
// sets its further lines back, so that none of them passes for one of the log.
func screenMessage(event map[string]any) error {
	if message, ok := event[zerolog.MessageFieldName].(string); ok {
		event[zerolog.MessageFieldName] = strings.ReplaceAll(harmless(message), "\n", "\n    ")
	}
	return nil
}

func onConsole(env environment, format string) bool {
	return format == "console" || format == "auto" && env.terminal
}

func (a *app) configureLog() error {
	switch a.logFormat {
	case "auto", "console", "json":
	default:
		return usageError("--log-format %q is not auto, console or json", a.logFormat)
	}
	level, err := zerolog.ParseLevel(a.logLevel)
	if err != nil || a.logLevel == "" {
		return usageError("--log-level %q is not trace, debug, info, warn or error", a.logLevel)
	}
	if a.logFile == "" {
		a.log = newLogger(a.raw, a.logFormat, level)
		return nil
	}
	if err := a.env.logFile.open(a.logFile); err != nil {
		return usageError("--log-file: %w", err)
	}
	file := &screen{w: a.env.logFile} // it is read on terminals
	a.log = loggerTo(zerolog.MultiLevelWriter(file, urgent(onStderr(a.raw, a.logFormat))), level)
	return nil
}

// urgent keeps for the person at the terminal what cannot wait until the log file
// is read: warnings, which ask for something or say how to go on, and errors.
func urgent(w io.Writer) io.Writer {
	return &zerolog.FilteredLevelWriter{Writer: zerolog.LevelWriterAdapter{Writer: w}, Level: zerolog.WarnLevel}
}
