package runner

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"offboard/journal"
)

// Runner carries out one campaign. Make it with [New]; use it once.
type Runner struct {
	name string // of the campaign

	c         Config
	queue     *queue
	gate      *gate
	settler   *settler
	directory *Directory
	account   *account
	hold      hold
	reopening sync.Mutex // of the open wave

	sent, throttled atomic.Int64
}

// Summary counts the calls of one run. What became of the machines is in the
// journal.
type Summary struct {
	Sent      int64 // requests that reached the service or may have
	Throttled int64 // of these, answered 429
}

// Summary is how many calls the run has made so far.
func (r *Runner) Summary() Summary {
	return Summary{Sent: r.sent.Load(), Throttled: r.throttled.Load()}
}

// New checks the configuration and returns a Runner, or [ErrConfig] or
// [ErrCampaignName].
func New(c Config) (*Runner, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &Runner{
		c: c, name: c.Record.Info().Name,
		directory: NewDirectory(c.Service, c.ListCalls, c.RetryFor, c.OnEvent),
		account:   newAccount(c.Budget),
	}, nil
}

// Run sends every planned machine and settles every machine in doubt, and
// returns when none is left that it may still do something about, or when ctx
// is done. The journal must have been recovered and the campaign enlisted.
//
// The error is nil when the campaign was worked off, whatever became of its
// machines; ctx's error after an orderly stop; [ErrBudget]; [ErrFailures];
// [ErrUnreachable]; a *[WaveError]; a *[defender.Error] that means
// [defender.Stop]; the journal's; or [ErrPanic].
func (r *Runner) Run(ctx context.Context) (Summary, error) {
	carryOut := r.pass
	if r.c.Waves != nil {
		carryOut = r.staged
	}
	err := carryOut(ctx)
	return r.Summary(), err
}

// pass works off what may be sent: all of the campaign, or its waves so far.
func (r *Runner) pass(ctx context.Context) error {
	ready, last, doubts, err := r.standing()
	if err != nil {
		return err
	}
	r.queue = newQueue(ready, last)
	r.settler = newSettler(r)
	if len(doubts) > 0 {
		if err := r.recallWitnesses(); err != nil {
			return err
		}
	}
	r.gate = newGate(r.c.RetryFor, r.settler.open)
	r.gate.held = &r.hold
	for _, d := range doubts {
		r.settler.add(d)
	}
	return r.work(ctx)
}

// work runs the pool. There are three contexts: take ends with ctx or with the
// first fault that stops the run; work in flight outlives both, bounded by the
// service's own time-out; the journal takes none.
func (r *Runner) work(ctx context.Context) error {
	timed, cancel := r.account.timed(ctx)
	defer cancel()
	group, take := errgroup.WithContext(timed)
	flight := context.WithoutCancel(ctx)
	settling, finished := context.WithCancel(take)
	defer finished()

	workers, takeWorkers := errgroup.WithContext(take)
	for range r.c.Workers {
		workers.Go(guarded(func() error { return r.worker(takeWorkers, flight) }))
	}
	group.Go(func() error {
		defer finished()
		return workers.Wait()
	})
	group.Go(guarded(func() error { return r.settler.run(settling) }))
	if err := group.Wait(); err != nil {
		return err
	}
	if ctx.Err() == nil && r.queue.unfinished() {
		return r.account.usedUp()
	}
	return ctx.Err()
}

func (r *Runner) worker(take, flight context.Context) error {
	for {
		w, ok := r.queue.take(take)
		if !ok {
			return nil
		}
		if !r.account.spend() {
			r.queue.again(w) // the other workers finish what they have begun
			return nil
		}
		if err := r.attempt(take, flight, w); err != nil {
			return err
		}
	}
}

// standing sorts the campaign's machines, in list order, into those to send,
// those to look at once more in the end, and those in doubt.
func (r *Runner) standing() (ready, last []work, doubts []*doubt, err error) {
	for s, err := range r.c.Record.Standing(journal.Planned, journal.InDoubt) {
		if err != nil {
			return nil, nil, nil, err
		}
		if !r.released(s.Row) {
			continue // and one in doubt could turn out to be free to send
		}
		w := work{machineID: s.MachineID, row: uint32(s.Row), lookAgain: s.NotFound > 0} //nolint:gosec // the journal keeps it in 32 bits
		switch {
		case s.State == journal.InDoubt:
			d, err := r.doubtOf(s)
			if err != nil {
				return nil, nil, nil, err
			}
			if d != nil {
				doubts = append(doubts, d)
			}
		case w.lookAgain:
			last = append(last, w)
		default:
			ready = append(ready, w)
		}
	}
	for _, list := range [][]work{ready, last} {
		slices.SortFunc(list, func(a, b work) int { return cmp.Compare(a.row, b.row) })
	}
	return ready, last, doubts, nil
}

// recallWitnesses tells the settler of our actions in the journal: a doubt from an
// earlier run may be older than the newest of them.
func (r *Runner) recallWitnesses() error {
	for s, err := range r.c.Record.Standing(journal.Accepted, journal.Succeeded) {
		if err != nil {
			return err
		}
		if s.Attempts == 0 || s.SettledBy != "" {
			continue
		}
		e, err := r.c.Record.Entry(s.MachineID)
		if err != nil {
			return err
		}
		if e.Origin == journal.Ours && e.ActionID != "" {
			r.settler.accepted(witness{e.MachineID, e.ActionID, e.Sent})
		}
	}
	return nil
}
