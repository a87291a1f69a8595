package runner

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"offboard/defender"
	"offboard/internal/failpoint"
	"offboard/journal"
)

// ErrUnsettled is the cause in [EventLeftInDoubt] when the action list did not
// say enough for long enough.
var ErrUnsettled = errors.New("the action list did not settle it")

// settler asks the action list about machines in doubt while the other
// machines go on.
//
// The waits are this process's own and monotonic: a doubt found in the journal
// begins anew when the run begins, so no stamp from another process or a changed
// clock can shorten one.
type settler struct {
	r       *Runner
	wait    time.Duration
	changed chan struct{}

	mu      sync.Mutex
	pending []*doubt
	blind   bool  // looking is not allowed
	unasked error // why a doubt was left that could not be asked about
	newest  witness
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
	d.due = d.since
	if !d.active {
		d.due = s.nextLook(d)
	}
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

// accepted takes note of an action of ours.
func (s *settler) accepted(w witness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.sent.After(s.newest.sent) {
		s.newest = w
	}
}

func (s *settler) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run settles doubts until ctx is done. Its errors are the journal's, those that
// mean [defender.Stop], and in the end [ErrUnreachable] where the list was.
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
	return s.unasked
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
		s.leave(d, defender.ErrForbidden)
		return nil
	}
	found, err := s.ask(ctx, d)
	if err != nil {
		return s.unanswered(ctx, d, err)
	}
	failpoint.Hit(failpoint.LookMade)
	switch found.sighting {
	case present:
		return s.adopt(d, found)
	case absent:
		return s.release(d)
	default:
		s.lookAgain(d)
	}
	return nil
}

// release frees a machine that nothing arrived for. It is sent again unless it
// has left the list meanwhile.
func (s *settler) release(d *doubt) error {
	failpoint.Hit(failpoint.SettlementDue)
	if err := d.owner.Release(d.machineID, journal.Failure{Reason: journal.ReasonAbsent}); err != nil {
		return err
	}
	entry, err := s.r.c.Record.Entry(d.machineID)
	if err != nil {
		return err
	}
	s.settled(d, entry.State, "")
	return nil
}

func (s *settler) adopt(d *doubt, found evidence) error {
	failpoint.Hit(failpoint.SettlementDue)
	if err := d.owner.Accept(d.machineID, actionOf(found.action), found.origin); err != nil {
		return err
	}
	s.settled(d, stateOf(found.action), found.action.ID)
	return nil
}

func (s *settler) settled(d *doubt, state journal.State, actionID string) {
	failpoint.Hit(failpoint.SettlementOnDisk)
	s.done(d, Event{Kind: EventSettled, State: state, ActionID: actionID})
}

// done takes a doubt off the list, tells of it, and lets those go on who waited
// for it. A machine that is planned again is sent again.
func (s *settler) done(d *doubt, e Event) {
	s.remove(d)
	e.MachineID, e.Attempt = d.machineID, d.attempt
	s.r.emit(e)
	s.r.queue.settled(d.machineID, e.State == journal.Planned)
	s.r.gate.woken()
}

// unanswered gives a doubt up that cannot be asked about. While stopping it is
// only left as the journal has it. An answer that would stop a request stops the
// run here too, but for a missing permission to look, with which machines can
// still be sent; so can they while only the list is out of order.
func (s *settler) unanswered(ctx context.Context, d *doubt, cause error) error {
	e, _ := asDefender(cause)
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // stopped, which is no fault of the list
	case errors.Is(cause, defender.ErrForbidden):
		s.goBlind()
	case errors.Is(cause, ErrUnreachable):
		s.unasked = cause
	case e != nil && e.Meaning == defender.Stop:
		return cause
	}
	s.leave(d, cause)
	return nil
}

// lookAgain plans the next look, unless looking has gone on for too long.
func (s *settler) lookAgain(d *doubt) {
	if time.Since(d.since) > s.wait+s.r.c.RetryFor || d.active && time.Since(d.since) >= s.wait {
		s.leave(d, ErrUnsettled)
		return
	}
	s.mu.Lock()
	d.due = s.nextLook(d)
	s.mu.Unlock()
	s.r.emit(Event{Kind: EventLooked, MachineID: d.machineID, Attempt: d.attempt, Wait: time.Until(d.due)})
}

// leave gives a doubt up: the machine stays in doubt until a person or another
// run settles it.
func (s *settler) leave(d *doubt, cause error) {
	s.done(d, Event{Kind: EventLeftInDoubt, Err: cause})
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
