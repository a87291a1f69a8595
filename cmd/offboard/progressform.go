package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// The forms in which progress is told on stderr.
const (
	progressAuto = "auto" // bars on a terminal, elsewhere lines of the log
	progressBar  = "bar"
	progressText = "text"
	progressJSON = "json"
	progressNone = "none"
	progressLog  = "log" // what auto comes to without a terminal
)

var progressForms = []string{progressAuto, progressBar, progressText, progressJSON, progressNone}

// progressFlags say how a command that takes its time tells how far it is.
type progressFlags struct {
	progress string
	interval time.Duration
}

func (f *progressFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.progress, "progress", progressAuto, "tell progress on stderr as `form`: bar, text, json, none, or auto (bar on a terminal, lines of the log otherwise)")
	fs.DurationVar(&f.interval, "progress-interval", 30*time.Second, "longest `time` between two lines of progress; there is one each 5% too")
}

func (f *progressFlags) validate() error {
	switch {
	case !slices.Contains(progressForms, f.progress):
		return usageError("--progress %q is not auto, bar, text, json or none", f.progress)
	case f.interval < time.Second:
		return usageError("--progress-interval %s is below 1s", f.interval)
	}
	return nil
}

// progressForm is the form that comes of what was asked for where it is asked.
// Bars are for terminals only.
func (a *app) progressForm(asked string) string {
	switch {
	case asked != progressAuto && asked != progressBar:
		return asked
	case a.env.size != nil && (asked == progressBar || a.env.getenv("TERM") != "dumb"):
		return progressBar
	}
	return progressLog
}

// work is what is being done to the machines of a campaign.
type work struct {
	verb  string               // what is done to a machine
	left  journal.State        // those are in to which it is not done yet
	quota *limiter.Limiter     // of its calls, if they are not offboardings
	line  func(message string) // into the log; nil where the log tells enough
}

// advance is how far a work is.
type advance struct {
	result
	verb     string
	done, of int
	at       time.Time
}

// advance counts as of now.
func (s *session) advance(p *progress, w work) (advance, error) {
	told, err := s.live.status("")
	if err != nil {
		return advance{}, err
	}
	st := advance{result: told, verb: w.verb, at: time.Now()}
	st.done, st.of = p.share(w.left)
	if w.quota != nil {
		st.Running.measure(w.quota, st.of-st.done)
	}
	return st, nil
}

// share is how many machines a work is done with, and of how many.
func (p *progress) share(left journal.State) (done, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return shareOf(p.counts, left)
}

func shareOf(counts map[journal.State]int, left journal.State) (done, of int) {
	for state, n := range counts {
		switch {
		case state == left:
			of += n
		case left == journal.Planned && state != journal.Excluded, left == journal.Accepted && state.Final() && state != journal.Rejected:
			done, of = done+n, of+n
		}
	}
	return done, of
}

// showProgress tells how far the work is, in the form that was asked for, until stop
// is called. The log file has its lines whatever stderr has.
func (s *session) showProgress(ctx context.Context, p *progress, w work) (stop func()) {
	form := s.app.progressForm(s.f.progress)
	var lines []func()
	if w.line != nil && (form == progressLog || form != progressNone && s.app.logFile != "") {
		lines = append(lines, func() { w.line("progress") })
	}
	if form == progressText || form == progressJSON {
		lines = append(lines, func() { s.tellProgress(p, w, form) })
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	if len(lines) > 0 {
		steps := p.expect(w.left)
		done.Go(func() { steps.each(ctx, s.f.interval, lines) })
	}
	if form == progressBar {
		done.Go(func() { s.drawBars(ctx, func() (advance, error) { return s.advance(p, w) }) })
	}
	return func() { cancel(); done.Wait() }
}

// tellProgress writes a line.
func (s *session) tellProgress(p *progress, w work, form string) {
	st, err := s.advance(p, w)
	if err != nil {
		return // whoever works on the journal meets it too
	}
	if form == progressJSON {
		_ = writeJSON(s.app.env.stderr, st.result)
		return
	}
	_, _ = s.app.env.stderr.Write([]byte(st.line() + "\n"))
}

// steps tells when another twentieth of the work is done.
type steps struct {
	of    journal.State // the machines that are left
	ahead chan struct{}
	told  int // how many were left when it was told last
	at    time.Time
}

const (
	stepPercent = 5
	// stepApart keeps a short list from being a line a machine.
	stepApart = time.Second
)

func (p *progress) expect(left journal.State) *steps {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = &steps{of: left, ahead: make(chan struct{}, 1), told: p.counts[left], at: time.Now()}
	return p.steps
}

// left notes how many are left; without anybody who waits it is nobody's.
func (s *steps) left(counts map[journal.State]int) {
	if s == nil {
		return
	}
	_, of := shareOf(counts, s.of)
	if (s.told-counts[s.of])*100 < stepPercent*of || time.Since(s.at) < stepApart {
		return
	}
	s.told, s.at = counts[s.of], time.Now()
	select {
	case s.ahead <- struct{}{}:
	default: // is being told
	}
}

// each calls the functions at each step, and when the last time is longer ago than
// the interval.
func (s *steps) each(ctx context.Context, interval time.Duration, tell []func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ahead:
			tick.Reset(interval)
		case <-tick.C:
		}
		for _, f := range tell {
			f()
		}
	}
}

// drawEvery is how often bars are drawn at most; of a long list no more than a
// twentieth of the time is spent on it.
const (
	drawEvery = 500 * time.Millisecond
	drawShare = 20
)

// drawBars keeps the bars as the work stands until ctx is done. That they cannot be
// drawn is never the end of the work.
func (s *session) drawBars(ctx context.Context, look func() (advance, error)) {
	foot := s.app.foot
	defer func() {
		foot.hide()()
		if value := recover(); value != nil {
			s.app.log.Warn().AnErr("error", runner.Recovered(value)).Msg("progress is no longer shown")
		}
	}()
	if s.app.env.continued != nil {
		var listening sync.WaitGroup
		defer listening.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		listening.Go(func() { s.app.env.continued(ctx, foot.forget) })
	}
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := time.Now()
		if st, err := look(); err == nil {
			width, _ := foot.dimensions()
			foot.show(st.rows(width - 1)) // the last column makes terminals wrap
		}
		wait = max(drawEvery, drawShare*time.Since(began))
	}
}
