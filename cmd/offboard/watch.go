package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"offboard/journal"
)

// watch shows the status of a run again and again, and that of the journal once
// the run has ended.
func (a *app) watch(ctx context.Context, f *statusFlags) error {
	w := &watcher{app: a, form: f.output}
	unanswered := time.Time{} // since when the journal is held and nobody answers
	for {
		r, err := a.askStatus(ctx, f)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errNoRun):
			return a.statusOffline(f)
		case err == nil:
			unanswered = time.Time{}
			if err := w.show(*r); err != nil {
				return err
			}
		case !errors.Is(err, journal.ErrLocked):
			return err
		case unanswered.IsZero():
			unanswered = time.Now() // a run begins and ends with its door shut
		case time.Since(unanswered) > beginningTime:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(f.interval):
		}
	}
}

// beginningTime bounds how long a run is waited for that does not answer yet, or no
// more.
const beginningTime = 30 * time.Second

// watcher shows what is new.
type watcher struct {
	app  *app
	form string
	last string // line that was shown
}

const (
	clearScreen = "\x1b[2J"
	toTop       = "\x1b[H"  // the cursor
	clearBelow  = "\x1b[0J" // the cursor's place
)

// show writes an object a line as JSON, the whole screen anew on a terminal, and
// otherwise a line whenever something has changed.
func (w *watcher) show(r result) error {
	switch {
	case w.form == "json":
		return w.app.writeRunning(r, w.form)
	case w.redraws():
		return w.redraw(r)
	}
	line := lastWords(r, counted(r.Counts))
	switch {
	case r.Running.Stopping != "":
		line += " " + r.Running.Stopping + "."
	case r.Running.Held != nil:
		line += " Held by " + r.Running.Held.By + "."
	case r.Running.Waiting != nil:
		line += " Waiting: " + r.Running.Waiting.Reason + "."
	}
	if line == w.last {
		return nil
	}
	w.last = line
	_, err := fmt.Fprintf(w.app.env.stdout, "%s %s\n", instant(time.Now()), line)
	return err
}

// redraws says that stdout is a terminal that knows how to move its cursor, and
// that nobody wants it left alone.
func (w *watcher) redraws() bool {
	getenv := w.app.env.getenv
	return w.app.env.display && getenv("TERM") != "dumb" && getenv("NO_COLOR") == ""
}

// redraw writes over what it has written before. The movements go past what
// keeps escapes from the terminal; the text does not.
func (w *watcher) redraw(r result) error {
	before := toTop
	if w.last == "" {
		before, w.last = clearScreen+toTop, "drawn"
	}
	if _, err := io.WriteString(w.app.raw.stdout, before+clearBelow); err != nil {
		return err
	}
	return w.app.writeRunning(r, w.form)
}
