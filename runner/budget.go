package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	// ErrBudget is returned by [Runner.Run] when the run's [Budget] was used up
	// before the campaign was worked off. It can be resumed.
	ErrBudget = errors.New("the budget of this run is used up")
	// ErrFailures is returned by [Runner.Run] when more machines were refused
	// than its [FailureLimit] allows.
	ErrFailures = errors.New("too many machines were refused")
)

// Budget bounds one run. What is in flight when it is used up is finished and
// recorded. The zero Budget bounds nothing.
type Budget struct {
	// Calls is how many requests may be begun; 0 for any number. One that
	// never left counts too.
	Calls int
	// Until is when the last one may be begun, by the wall clock; zero for any
	// time.
	Until time.Time
	// Failures stops the run when the service refuses too many machines; nil
	// lets it refuse any number.
	Failures *FailureLimit
}

// FailureLimit says how many machines the service may refuse in a run. A machine
// that it does not find counts at once, and no longer if it is found in the end.
type FailureLimit struct {
	// Count of machines; one more is too many. It is not looked at when there
	// is a Percent.
	Count int
	// Percent of the machines that have had an outcome in this run, 0 to 100.
	Percent float64
	// MinSample is how many outcomes there must be before Percent is looked at.
	MinSample int
}

// exceeded says why so many failures among so many outcomes are too many, "" if
// they are not.
func (l *FailureLimit) exceeded(failed, outcomes int, where string) string {
	switch {
	case l == nil:
	case l.Percent > 0:
		if outcomes >= l.MinSample && float64(failed)*100 > l.Percent*float64(outcomes) {
			return fmt.Sprintf("%d of the %d machines that had an outcome %s, and %g%% are allowed", failed, outcomes, where, l.Percent)
		}
	case failed > l.Count:
		return fmt.Sprintf("%d, and %d are allowed", failed, l.Count)
	}
	return ""
}

func (b Budget) validate() error {
	f := cmp.Or(b.Failures, &FailureLimit{})
	if b.Calls < 0 || f.Count < 0 || f.Percent < 0 || f.Percent > 100 || f.MinSample < 0 {
		return fmt.Errorf("%w: a bound of the budget makes no sense", ErrConfig)
	}
	return nil
}

// account is what a run has used of its budget.
type account struct {
	Budget

	mu       sync.Mutex
	calls    int
	outcomes int
	failed   map[string]bool
}

func newAccount(b Budget) *account {
	b.Until = b.Until.Round(0) // the wall clock's: the other stands still while the machine sleeps
	return &account{Budget: b, failed: map[string]bool{}}
}

// spend takes one request out of the budget, before anything is waited for. It
// returns false when there is none left.
func (a *account) spend() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Calls > 0 && a.calls == a.Calls {
		return false
	}
	a.calls++
	return true
}

// spent says whether there is no request left.
func (a *account) spent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Calls > 0 && a.calls == a.Calls
}

// refund puts a request back that was not begun after all.
func (a *account) refund() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls--
}

// timed ends with ctx or when the time is up.
func (a *account) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.Until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, a.Until)
}

// late says whether the time is up. The deadline alone would not do: timers
// stand still while the machine sleeps.
func (a *account) late() bool { return !a.Until.IsZero() && !time.Now().Before(a.Until) }

// usedUp says what ended a run that has left something undone.
func (a *account) usedUp() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Calls > 0 && a.calls == a.Calls {
		return fmt.Errorf("%w: %d calls", ErrBudget, a.Calls)
	}
	return fmt.Errorf("%w: nothing is begun after %s", ErrBudget, a.Until.Format(time.RFC3339))
}

// passed notes an outcome that is no failure.
func (a *account) passed(machineID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed[machineID] {
		delete(a.failed, machineID)
		return
	}
	a.outcomes++
}

// refused notes a failure, and returns [ErrFailures] when it is one too many.
func (a *account) refused(machineID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.failed[machineID] {
		a.failed[machineID] = true
		a.outcomes++
	}
	if why := a.Failures.exceeded(len(a.failed), a.outcomes, "in this run"); why != "" {
		return fmt.Errorf("%w: %s", ErrFailures, why)
	}
	return nil
}
