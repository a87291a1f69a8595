package runner_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"offboard/runner"
)

func TestBudgets(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		machines int
		workers  int // 0: the default
		budget   func(start time.Time) runner.Budget
		refuse   func(machine string) bool
		missing  func(nth int, machine string) bool // not found
		want     error
		counts   string
		within   time.Duration
	}{
		{name: "calls", machines: 250, budget: func(time.Time) runner.Budget { return runner.Budget{Calls: 90} },
			want: runner.ErrBudget, counts: "planned 160, accepted 90", within: 10 * time.Second},
		{name: "just enough calls", machines: 90, budget: func(time.Time) runner.Budget { return runner.Budget{Calls: 90} },
			counts: "accepted 90", within: 10 * time.Second},
		{name: "calls end with the quota", machines: 250, budget: func(time.Time) runner.Budget { return runner.Budget{Calls: 100} },
			want: runner.ErrBudget, counts: "planned 150, accepted 100", within: 10 * time.Second},
		{name: "time", machines: 250, budget: func(s time.Time) runner.Budget { return runner.Budget{Until: s.Add(90 * time.Second)} },
			want: runner.ErrBudget, counts: "planned 50, accepted 200", within: 90 * time.Second},
		{name: "more time than it takes", machines: 50, budget: func(s time.Time) runner.Budget { return runner.Budget{Until: s.Add(90 * time.Second)} },
			counts: "accepted 50", within: 10 * time.Second},
		{name: "no time", machines: 5, budget: func(s time.Time) runner.Budget { return runner.Budget{Until: s} },
			want: runner.ErrBudget, counts: "planned 5", within: time.Second},
		{name: "no failure allowed", machines: 50, workers: 1, budget: limit(runner.FailureLimit{}), refuse: isMachine(0),
			want: runner.ErrFailures, counts: "planned 49, rejected 1", within: time.Second},
		{name: "as many failures as allowed", machines: 50, budget: limit(runner.FailureLimit{Count: 1}), refuse: isMachine(0),
			counts: "accepted 49, rejected 1", within: 10 * time.Second},
		{name: "a percentage before the sample", machines: 20, budget: limit(runner.FailureLimit{Percent: 1, MinSample: 20}), refuse: isMachine(0),
			counts: "accepted 19, rejected 1", within: 10 * time.Second},
		{name: "not found counts at once", machines: 50, budget: limit(runner.FailureLimit{}), missing: func(int, string) bool { return true },
			want: runner.ErrFailures, counts: "planned 50", within: time.Second},
		{name: "found in the end counts no more", machines: 50, budget: limit(runner.FailureLimit{Count: 3}),
			missing: func(nth int, m string) bool { return nth == 1 && m < id(3) }, counts: "accepted 50", within: 10 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, c.machines)
				defer b.close()
				b.config.Budget, b.config.Workers = c.budget(time.Now()), c.workers
				b.service.script = func(nth int, m string) reply {
					switch {
					case c.refuse != nil && c.refuse(m):
						return reply{err: errRefused, takes: 300 * time.Millisecond}
					case c.missing != nil && c.missing(nth, m):
						return reply{err: errNotFound, takes: 300 * time.Millisecond}
					}
					return accepted()
				}
				began := time.Now()
				if _, err := b.run(t.Context()); !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("Run: %v; want %v", err, c.want)
				}
				if took := time.Since(began); took > c.within {
					t.Errorf("took %s; want at most %s", took, c.within)
				}
				b.want(c.counts)
			})
		})
	}
}

func limit(l runner.FailureLimit) func(time.Time) runner.Budget {
	return func(time.Time) runner.Budget { return runner.Budget{Failures: &l} }
}

func isMachine(n int) func(string) bool { return func(m string) bool { return m == id(n) } }

// TestPercentageOfFailures: once the sample is there, one in a hundred is too
// many where one percent is not allowed to be exceeded.
func TestPercentageOfFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 400)
		defer b.close()
		b.config.Workers = 1
		b.config.Budget = runner.Budget{Failures: &runner.FailureLimit{Percent: 10, MinSample: 20}}
		b.service.script = func(_ int, m string) reply {
			if m >= id(50) {
				return reply{err: errRefused}
			}
			return accepted()
		}
		if _, err := b.run(t.Context()); !errors.Is(err, runner.ErrFailures) {
			t.Errorf("Run: %v", err)
		}
		// 6 of 56 are the first to be more than 10%.
		b.want("planned 344, accepted 50, rejected 6")
	})
}

func TestBudgetsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1)
		defer b.close()
		for _, budget := range []runner.Budget{{Calls: -1}, {Failures: &runner.FailureLimit{Count: -1}}, {Failures: &runner.FailureLimit{Percent: 101}}} {
			c := b.config
			c.Record, c.Calls, c.ListCalls, c.Budget = b.campaign, newLimiter(t), newLimiter(t), budget
			if _, err := runner.New(c); !errors.Is(err, runner.ErrConfig) {
				t.Errorf("%+v: %v", budget, err)
			}
		}
	})
}
