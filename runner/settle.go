package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// ErrUnsettled is the cause in [EventLeftInDoubt] when the action list did not
// say enough for long enough.
var ErrUnsettled = errors.New("the action list did not settle it")

// doubt is one attempt whose outcome is unknown.
type doubt struct {
	owner     Outcomes
	campaign  string // of the attempt
	machineID string
	attempt   int
	prior     []string // actions that existed before the attempt
	// active says that the service spoke of an action under way that it
	// does not list. Absence would contradict it and settles nothing.
	active bool

	since     time.Time // the attempt was given up, or the run began
	due       time.Time // of the next look
	firstLook time.Time // that showed nothing
	witness   *defender.MachineAction
}

func (d *doubt) mark() string { return Mark(d.campaign, d.attempt) }

// settler asks the action list about machines in doubt while the other
// machines go on.
//
// All its times are this process's own and monotonic: a doubt found in the
// journal begins anew when the run begins, so no stamp from another process or
// a changed clock can shorten a wait.
type settler struct {
	r       *Runner
	wait    time.Duration
	changed chan struct{}

	mu      sync.Mutex
	pending []*doubt
	blind   bool // looking is not allowed
	latest  *defender.MachineAction
	at      time.Time // of latest
}

func newSettler(r *Runner) *settler {
	return &settler{r: r, wait: r.c.SettleWait, changed: make(chan struct{}, 1)}
}

// looks are the times of the looks after an attempt was given up, as shares of
// SettleWait. The early ones find what arrived while its answer was lost; the
// last is the one that absence is believed from.
var looks = []float64{1.0 / 60, 1.0 / 5, 4.0 / 5, 1}

// add starts to settle a doubt.
func (s *settler) add(d *doubt) {
	s.r.queue.doubted()
	s.mu.Lock()
	defer s.mu.Unlock()
	d.since = time.Now()
	d.due = s.nextLook(d)
	s.pending = append(s.pending, d)
	s.wake()
}

// open says how many doubts may still be settled.
func (s *settler) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind {
		return 0
	}
	return len(s.pending)
}

// accepted remembers our newest action. Once the list shows it, the list is no
// older than it.
func (s *settler) accepted(a defender.MachineAction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.at = &a, time.Now()
}

func (s *settler) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run settles doubts until ctx is done. Its errors are the journal's.
func (s *settler) run(ctx context.Context) error {
	for ctx.Err() == nil {
		d, pause := s.next()
		if d == nil {
			select {
			case <-ctx.Done():
			case <-s.changed:
			case <-pause:
			}
			continue
		}
		if err := s.look(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// next returns the doubt that is due, or what to wait for.
func (s *settler) next() (*doubt, <-chan time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil, nil
	}
	d := slices.MinFunc(s.pending, func(a, b *doubt) int { return a.due.Compare(b.due) })
	if wait := time.Until(d.due); wait > 0 && !s.blind {
		return nil, time.After(wait)
	}
	return d, nil
}

// nextLook is the first look that is still to come.
func (s *settler) nextLook(d *doubt) time.Time {
	now := time.Now()
	for _, share := range looks {
		if at := d.since.Add(time.Duration(share * float64(s.wait))); at.After(now) {
			return at
		}
	}
	return now.Add(max(s.wait/5, firstPause))
}

// look asks once about one machine.
func (s *settler) look(ctx context.Context, d *doubt) error {
	if s.blind {
		return s.leave(d, defender.ErrForbidden)
	}
	found, err := s.ask(ctx, d)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // stopping: the machine stays in doubt, as the journal says
	}
	switch {
	case errors.Is(err, defender.ErrForbidden):
		s.goBlind()
		return s.leave(d, err)
	case err != nil:
		return s.leave(d, err)
	case found.sighting == present:
		return s.settle(d, journal.Accepted, func() error {
			return d.owner.Accept(d.machineID, actionOf(found.action), found.origin)
		})
	case found.sighting == absent && s.believable(d):
		return s.settle(d, journal.Planned, func() error {
			return d.owner.Release(d.machineID, journal.Failure{Reason: journal.ReasonAbsent})
		})
	default:
		return s.lookAgain(d)
	}
}

// evidence is what a look at the action list found.
type evidence struct {
	sighting
	action defender.MachineAction
	origin journal.Origin
}

// ask reads the list. The witness comes first: what the list shows after it has
// shown the witness is at least as new.
func (s *settler) ask(ctx context.Context, d *doubt) (evidence, error) {
	if d.active {
		return s.underway(ctx, d)
	}
	current, err := s.current(ctx, d)
	if err != nil {
		return evidence{}, err
	}
	actions, err := s.r.directory.offboards(ctx, d.machineID)
	if err != nil {
		return evidence{}, err
	}
	found, action := sight(actions, d.mark(), d.prior)
	if found == absent && d.firstLook.IsZero() {
		d.firstLook = time.Now()
	}
	if found == absent && !current {
		found = unclear
	}
	return evidence{found, action, journal.Ours}, nil
}

// current says whether the list shows our newest action from after the attempt,
// where there is one.
func (s *settler) current(ctx context.Context, d *doubt) (bool, error) {
	s.mu.Lock()
	if d.witness == nil && s.at.After(d.since) && time.Since(d.since) >= s.share(3) {
		d.witness = s.latest
	}
	s.mu.Unlock()
	if d.witness == nil {
		return true, nil
	}
	actions, err := s.r.directory.offboards(ctx, d.witness.MachineID)
	return slices.ContainsFunc(actions, func(a defender.MachineAction) bool { return a.ID == d.witness.ID }), err
}

// share is n fifths of SettleWait.
func (s *settler) share(n int) time.Duration { return time.Duration(n) * s.wait / 5 }

// believable says whether a look that shows nothing now proves that nothing
// arrived: it is the second, far enough from the first, and late enough.
func (s *settler) believable(d *doubt) bool {
	return time.Since(d.since) >= s.wait && time.Since(d.firstLook) >= s.share(1)
}

// underway looks for the machine's Offboard action that is not final, and says
// whose it is. That the list shows none is no evidence of anything.
func (s *settler) underway(ctx context.Context, d *doubt) (evidence, error) {
	actions, err := s.r.directory.offboards(ctx, d.machineID)
	if err != nil {
		return evidence{}, err
	}
	for _, a := range actions {
		if a.Type != defender.TypeOffboard || a.Final() {
			continue
		}
		if isOurs(a, d.campaign) && !slices.Contains(d.prior, a.ID) {
			return evidence{present, a, journal.Ours}, nil
		}
		return evidence{present, a, journal.Adopted}, nil
	}
	return evidence{sighting: unclear}, nil
}

func (s *settler) settle(d *doubt, state journal.State, record func() error) error {
	if err := record(); err != nil {
		return err
	}
	s.remove(d)
	s.r.emit(Event{Kind: EventSettled, MachineID: d.machineID, Attempt: d.attempt, State: state})
	s.r.queue.settled(d.machineID, state == journal.Planned)
	s.r.gate.woken()
	return nil
}

// lookAgain plans the next look, unless looking has gone on for too long.
func (s *settler) lookAgain(d *doubt) error {
	if time.Since(d.since) > s.wait+s.r.c.RetryFor || d.active && time.Since(d.since) >= s.wait {
		return s.leave(d, ErrUnsettled)
	}
	s.mu.Lock()
	d.due = s.nextLook(d)
	s.mu.Unlock()
	s.r.emit(Event{Kind: EventLooked, MachineID: d.machineID, Attempt: d.attempt, Wait: time.Until(d.due)})
	return nil
}

// leave gives a doubt up: the machine stays in doubt until a person or another
// run settles it.
func (s *settler) leave(d *doubt, cause error) error {
	s.remove(d)
	s.r.emit(Event{Kind: EventLeftInDoubt, MachineID: d.machineID, Attempt: d.attempt, Err: cause})
	s.r.queue.settled(d.machineID, false)
	s.r.gate.woken()
	return nil
}

func (s *settler) goBlind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = true
}

func (s *settler) remove(d *doubt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = slices.DeleteFunc(s.pending, func(o *doubt) bool { return o == d })
}

// doubtOf makes the doubt of a machine that the journal says is in doubt; nil
// when that is another campaign's and cannot be settled here.
func (r *Runner) doubtOf(st journal.Standing) (*doubt, error) {
	owner, campaign := r.c.Record, r.name
	if st.SettledBy != "" {
		if r.c.Owner == nil {
			return nil, nil //nolint:nilnil // it stays in doubt, as Config says
		}
		var err error
		if owner, err = r.c.Owner(st.SettledBy); err != nil {
			return nil, fmt.Errorf("the campaign %q that left a machine in doubt: %w", st.SettledBy, err)
		}
		campaign = st.SettledBy
	}
	entry, err := owner.Entry(st.MachineID)
	if err != nil {
		return nil, err
	}
	return &doubt{
		owner: owner, campaign: campaign, machineID: st.MachineID, attempt: entry.Attempts, prior: entry.Prior,
		active: entry.Failure != nil && entry.Failure.Code == defender.CodeActiveRequestAlreadyExists,
	}, nil
}
