package main

import (
	"time"

	"github.com/rs/zerolog"
)

func newLogger(env environment, format string, level zerolog.Level) zerolog.Logger {
	w := zerolog.SyncWriter(env.stderr) // workers log at the same time
	if onConsole(env, format) {
		w = zerolog.ConsoleWriter{
			Out: w, TimeFormat: time.TimeOnly,
			NoColor: !env.terminal || env.getenv("NO_COLOR") != "",
		}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
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
	a.log = newLogger(a.env, a.logFormat, level)
	return nil
}
