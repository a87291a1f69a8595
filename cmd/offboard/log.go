package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"
)

func newLogger(env environment, format string, level zerolog.Level) zerolog.Logger {
	return loggerTo(onStderr(env, format), level)
}

func loggerTo(w io.Writer, level zerolog.Level) zerolog.Logger {
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

func onStderr(env environment, format string) io.Writer {
	w := zerolog.SyncWriter(env.stderr) // workers log at the same time
	if onConsole(env, format) {
		return zerolog.ConsoleWriter{
			Out: w, TimeFormat: time.TimeOnly,
			NoColor: !env.terminal || env.getenv("NO_COLOR") != "",
		}
	}
	return w
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
		a.log = newLogger(a.env, a.logFormat, level)
		return nil
	}
	if err := a.env.logFile.open(a.logFile); err != nil {
		return usageError("--log-file: %w", err)
	}
	a.log = loggerTo(zerolog.MultiLevelWriter(a.env.logFile, urgent(onStderr(a.env, a.logFormat))), level)
	return nil
}

// urgent keeps for the person at the terminal what cannot wait until the log file
// is read: warnings, which ask for something or say how to go on, and errors.
func urgent(w io.Writer) io.Writer {
	return &zerolog.FilteredLevelWriter{Writer: zerolog.LevelWriterAdapter{Writer: w}, Level: zerolog.WarnLevel}
}
