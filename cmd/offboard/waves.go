package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"offboard/journal"
	"offboard/runner"
)

// waveFlags divide a campaign into waves, and say what has to hold between them.
type waveFlags struct {
	waves, column     string
	pause, timeout    time.Duration
	until, onTimeout  string
	confirmEachWave   bool
	given, givenUntil func() bool
}

const onTimeoutStop = "stop"

func (f *waveFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.waves, "waves", "", "send in waves that end with so many machines, or percent of all: `10,10%,100%`")
	fs.StringVar(&f.column, "wave-column", "", "send in waves that this `column` of the list names, in the order of the numbers or else of first appearance")
	fs.DurationVar(&f.pause, "wave-pause", 0, "least `time` between the end of a wave and the next")
	fs.StringVar(&f.until, "wave-until-succeeded", "", "begin the next wave once `P%` of the accepted machines seen in the last 48 hours have succeeded")
	fs.DurationVar(&f.timeout, "wave-timeout", 24*time.Hour, "how long --wave-until-succeeded is waited for, after the pause")
	fs.StringVar(&f.onTimeout, "wave-on-timeout", onTimeoutStop, "what happens then: stop or continue")
	fs.BoolVar(&f.confirmEachWave, "wave-confirm", false, "have a person confirm each next wave")
	f.givenUntil = func() bool { return fs.Changed("wave-timeout") || fs.Changed("wave-on-timeout") }
	f.given = func() bool {
		return f.givenUntil() || fs.Changed("wave-pause") || fs.Changed("wave-until-succeeded") || fs.Changed("wave-confirm")
	}
}

func (f *waveFlags) validate() error {
	_, errUntil := f.untilSucceeded()
	switch {
	case f.waves != "" && f.column != "":
		return usageError("--waves and --wave-column cannot both be given")
	case f.waves == "" && f.column == "" && f.given():
		return usageError("there are no waves: give --waves or --wave-column")
	case f.pause < 0 || f.timeout <= 0:
		return usageError("--wave-pause is not negative, and --wave-timeout above 0")
	case f.onTimeout != onTimeoutStop && f.onTimeout != "continue":
		return usageError("--wave-on-timeout %q is not stop or continue", f.onTimeout)
	case errUntil != nil:
		return errUntil
	case f.until == "" && f.givenUntil():
		return usageError("--wave-timeout and --wave-on-timeout go with --wave-until-succeeded")
	case f.waves == "":
		return nil
	}
	if _, err := runner.ParseWaves(f.waves); err != nil {
		return usageError("--waves %s: %w", f.waves, err)
	}
	return nil
}

func (f *waveFlags) untilSucceeded() (float64, error) {
	if f.until == "" {
		return 0, nil
	}
	number, relative := strings.CutSuffix(f.until, "%")
	p, err := strconv.ParseFloat(number, 64)
	if err != nil || !relative || !(p > 0 && p <= 100) {
		return 0, usageError("--wave-until-succeeded %q is no percentage such as 90%%", f.until)
	}
	return p, nil
}

// waveRules are the flags as a campaign keeps them; nil without waves.
func (f *waveFlags) waveRules() *waveRules {
	if f.waves == "" && f.column == "" {
		return nil
	}
	t := waveTerms{Sizes: f.waves, Column: f.column, Pause: span(f.pause), Confirm: f.confirmEachWave}
	if t.UntilSucceeded, _ = f.untilSucceeded(); t.UntilSucceeded > 0 { // validated
		t.Timeout, t.OnTimeout = span(f.timeout), f.onTimeout
	}
	return &waveRules{waveTerms: t}
}

// waveTerms are what was asked for.
type waveTerms struct {
	Sizes          string  `json:"sizes,omitempty"`
	Column         string  `json:"column,omitempty"`
	Pause          span    `json:"pause"`
	UntilSucceeded float64 `json:"until_succeeded,omitempty"`
	Timeout        span    `json:"timeout,omitzero"`
	OnTimeout      string  `json:"on_timeout,omitempty"`
	Confirm        bool    `json:"confirm,omitempty"`
}

// waveRules are the waves of a campaign. They are fixed when it begins: a
// machine stays in its wave whatever becomes of the others.
type waveRules struct {
	waveTerms
	// MaxFailures with MinSample is the --max-failures that the campaign was begun
	// with: how many refusals a wave may have for another to follow, whoever
	// resumes. "": any number.
	MaxFailures string              `json:"max_failures,omitempty"`
	MinSample   int                 `json:"max_failures_min_sample,omitempty"`
	Waves       []wave              `json:"waves"`
	Progress    runner.WaveProgress `json:"progress"`
}

// wave is one of them: the machines up to a row, behind those of the wave before.
type wave struct {
	Name string `json:"name"`
	Last int    `json:"last_row"`
}

// span is a duration as people write it.
type span time.Duration

func (s span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil } //nolint:unparam // as encoding.TextMarshaler has it

func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = span(d)
	return err
}

// kept are the campaign's waves. A later run may repeat them or say nothing.
func (w *waveRules) kept(now *waveRules) (*waveRules, error) {
	switch {
	case now == nil:
		return w, nil
	case w == nil:
		return nil, usageError("the campaign was begun without waves; a later run cannot divide it")
	case w.waveTerms != now.waveTerms:
		return nil, usageError("the campaign was begun with other waves, which stay: leave --waves, --wave-column and what goes with them out")
	}
	return w, nil
}

// bound keeps the first limit of refusals that a run is given.
func (w *waveRules) bound(f *budgetFlags) {
	if w != nil && w.MaxFailures == "" && f.maxFailures != "" {
		w.MaxFailures, w.MinSample = f.maxFailures, f.minSample
	}
}

func (w *waveRules) last() []int {
	rows := make([]int, len(w.Waves))
	for i, one := range w.Waves {
		rows[i] = one.Last
	}
	return rows
}

// waves are the campaign's, for the runner; nil without any.
func (s *session) waves(c *journal.Campaign) (*runner.Waves, error) {
	agreed, err := rulesOf(c.Info())
	if err != nil || agreed.Waves == nil {
		return nil, err
	}
	w := agreed.Waves
	failures, err := (&budgetFlags{maxFailures: w.MaxFailures, minSample: w.MinSample}).failureLimit()
	if err != nil {
		return nil, err
	}
	r := &runner.Waves{
		Last: w.last(), Pause: time.Duration(w.Pause), UntilSucceeded: w.UntilSucceeded,
		Timeout: time.Duration(w.Timeout), OnTimeoutContinue: w.UntilSucceeded > 0 && w.OnTimeout != onTimeoutStop,
		Failures: failures, Progress: w.Progress,
		Keep:   func(p runner.WaveProgress) error { return keepProgress(c, p) },
		Record: c,
		Owner:  func(name string) (runner.Followed, error) { return s.journal.Campaign(name) },
	}
	if w.Confirm {
		r.Confirm = s.app.confirmWave
	}
	return r, nil
}

// keepProgress notes in the journal how far the waves are.
func keepProgress(c *journal.Campaign, p runner.WaveProgress) error {
	return changeRules(c, func(r *rules) { r.Waves.Progress = p })
}

// approveWave notes that a person lets the next wave begin.
func approveWave(c *journal.Campaign, n int) error {
	agreed, err := rulesOf(c.Info())
	if err != nil {
		return err
	}
	if agreed.Waves == nil {
		return usageError("campaign %q has no waves to approve", c.Info().Name)
	}
	p := agreed.Waves.Progress
	next := max(p.Open, 1) + 1
	switch {
	case next > len(agreed.Waves.Waves):
		return usageError("the last wave of campaign %q has begun: there is none to approve", c.Info().Name)
	case n != next:
		return usageError("--approve-wave %d: the next wave is %d, and only that can be approved", n, next)
	}
	p.Approved, p.ApprovedBy, p.ApprovedAt = n, operator(), time.Now().UTC()
	return keepProgress(c, p)
}

// confirmWave has a person agree to the next wave.
func (a *app) confirmWave(ctx context.Context, next runner.NextWave) (string, error) {
	if !a.env.interactive {
		return "", fmt.Errorf("%w: no terminal to confirm %s on", runner.ErrWaveUnconfirmed, plural(next.Machines, "machine"))
	}
	typed, same, err := a.typeNumber(ctx, next.Machines,
		fmt.Sprintf("Wave %d of %d will offboard %s.", next.Wave, next.Of, plural(next.Machines, "machine")))
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil || !same {
		return "", fmt.Errorf("%w: %q is not %d", runner.ErrWaveUnconfirmed, typed, next.Machines)
	}
	return operator(), nil
}

// approvalFlag is what the command that goes on needs beside itself, after a stop
// that a person may overrule.
func approvalFlag(err error) string {
	if stop := new(runner.WaveError); errors.As(err, &stop) {
		return fmt.Sprintf(" --approve-wave=%d", stop.Wave)
	}
	return ""
}
