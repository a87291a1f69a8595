package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // Windows has no zones of its own

	"github.com/spf13/pflag"

	"offboard/runner"
)

// budgetFlags bound one run of a campaign.
type budgetFlags struct {
	maxCalls         int
	maxDuration      time.Duration
	window, timeZone string
	maxFailures      string
	minSample        int
}

// defaultMinSample is how many outcomes a percentage of failures needs.
const defaultMinSample = 20

func (f *budgetFlags) bind(fs *pflag.FlagSet) {
	fs.IntVar(&f.maxCalls, "max-calls", 0, "begin at most `N` requests in this run")
	fs.DurationVar(&f.maxDuration, "max-duration", 0, "begin nothing after this `time`; what is in flight is finished")
	fs.StringVar(&f.window, "window", "", "begin requests only between two times of day, such as `22:00-06:00`")
	fs.StringVar(&f.timeZone, "time-zone", "Local", "time `zone` of --window, such as Europe/Oslo")
	fs.StringVar(&f.maxFailures, "max-failures", "", "stop when more than `N` machines are refused in this run, or more than P% of those that had an outcome")
	fs.IntVar(&f.minSample, "max-failures-min-sample", defaultMinSample, "outcomes before a percentage of --max-failures is looked at")
}

func (f *budgetFlags) validate() error {
	_, err := f.budget(time.Now())
	var closed *closedError
	if errors.As(err, &closed) {
		return nil // a matter of the hour, not of the flags
	}
	return err
}

// budget is what the flags allow to a run that begins now. Outside the window
// that is nothing, and the error says when it opens.
func (f *budgetFlags) budget(now time.Time) (runner.Budget, error) {
	if f.maxCalls < 0 || f.maxDuration < 0 || f.minSample < 0 {
		return runner.Budget{}, usageError("--max-calls, --max-duration and --max-failures-min-sample are not negative")
	}
	b := runner.Budget{Calls: f.maxCalls}
	if f.maxDuration > 0 {
		b.Until = now.Add(f.maxDuration)
	}
	var err error
	if b.Failures, err = f.failureLimit(); err != nil || f.window == "" {
		return b, err
	}
	zone, err := time.LoadLocation(f.timeZone)
	if err != nil {
		return b, usageError("--time-zone: %w", err)
	}
	w, err := parseWindow(f.window)
	if err != nil {
		return b, err
	}
	open, until := w.at(now.In(zone))
	if !open {
		return b, &commandError{code: exitBudget, err: &closedError{f.window, until}, hint: "run it again then; nothing was sent"}
	}
	if b.Until.IsZero() || until.Before(b.Until) {
		b.Until = until
	}
	return b, nil
}

// closedError says that a run was begun outside its window.
type closedError struct {
	window string
	opens  time.Time
}

func (e *closedError) Error() string {
	return fmt.Sprintf("outside --window %s, which opens at %s", e.window, e.opens.Format(time.RFC3339))
}

func (f *budgetFlags) failureLimit() (*runner.FailureLimit, error) {
	if f.maxFailures == "" {
		return nil, nil //nolint:nilnil // no limit
	}
	l := &runner.FailureLimit{MinSample: f.minSample}
	number, relative := strings.CutSuffix(f.maxFailures, "%")
	var err error
	if relative {
		l.Percent, err = strconv.ParseFloat(number, 64)
		if err == nil && !(l.Percent > 0 && l.Percent <= 100) {
			err = errors.New("not above 0 and at most 100")
		}
	} else if l.Count, err = strconv.Atoi(number); err == nil && l.Count < 0 {
		err = errors.New("negative")
	}
	if err != nil {
		return nil, usageError("--max-failures %q is neither a number of machines nor a percentage such as 2%%: %w", f.maxFailures, err)
	}
	return l, nil
}

// window is a part of the day. One that ends no later than it begins goes on
// past midnight.
type window struct{ from, to time.Duration }

func parseWindow(s string) (window, error) {
	from, to, ok := strings.Cut(s, "-")
	begin, err1 := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if err := cmp.Or(err1, err2); !ok || err != nil {
		return window{}, usageError("--window %q is not two times of day such as 22:00-06:00", s)
	}
	w := window{timeOfDay(begin), timeOfDay(end)}
	if w.from == w.to {
		return window{}, usageError("--window %q is empty", s)
	}
	return w, nil
}

func timeOfDay(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// at says whether the window is open at a moment, and when that changes. The
// times are those of the wall clock in the moment's zone: a night in which the
// clocks change is an hour shorter or longer.
func (w window) at(now time.Time) (open bool, until time.Time) {
	for day := -1; ; day++ {
		begins, ends := clock(now, day, w.from), clock(now, day, w.to)
		if w.to < w.from {
			ends = clock(now, day+1, w.to)
		}
		switch {
		case now.Before(begins):
			return false, begins
		case now.Before(ends):
			return true, ends
		}
	}
}

// clock is the moment at which the wall clock shows a time of a day, counted
// from now's. One that the clocks skip is as much later.
func clock(now time.Time, day int, at time.Duration) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d+day, int(at/time.Hour), int(at%time.Hour/time.Minute), 0, 0, now.Location())
}
