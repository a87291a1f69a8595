package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// between waits for whatever has to hold before the next wave, and releases it.
func (r *Runner) between(ctx context.Context) error {
	timed, cancel := r.account.timed(ctx)
	defer cancel()
	by, why, err := r.mayGoOn(timed)
	for err == nil && r.hold.on() {
		// Whoever pauses a run wants no wave begun; afterwards all is asked again.
		if err = r.hold.wait(timed); err == nil {
			by, why, err = r.mayGoOn(timed)
		}
	}
	switch {
	case err == nil:
		return r.release(by, why)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return ctx.Err()
	case timed.Err() != nil && errors.Is(err, timed.Err()):
		return r.account.usedUp()
	}
	if errors.Is(err, ErrWaveHeld) || errors.Is(err, ErrWaveUnconfirmed) || errors.Is(err, ErrFailures) {
		w := r.c.Waves
		return &WaveError{Wave: w.Progress.Open + 1, Of: len(w.Last), Err: err}
	}
	return err
}

// mayGoOn returns who has released the next wave, and why, once it may begin.
func (r *Runner) mayGoOn(ctx context.Context) (by, why string, err error) {
	w := r.c.Waves
	next := w.Progress.Open + 1
	approved := w.Progress.Approved >= next
	if approved && !w.Progress.ApprovedAt.Before(w.Progress.Ended) {
		return w.Progress.ApprovedBy, "approved", nil
	}
	if r.account.spent() {
		return "", "", r.account.usedUp()
	}
	why, err = r.waveFailures()
	if err != nil {
		return "", "", err
	}
	if why != "" {
		return "", "", fmt.Errorf("%w in wave %d: %s", ErrFailures, next-1, why)
	}
	if approved { // by somebody who had not seen all of the wave before
		return w.Progress.ApprovedBy, "approved", nil
	}
	paused := w.Progress.Ended.Add(w.Pause)
	if err := r.waitUntil(ctx, paused, "the pause"); err != nil {
		return "", "", err
	}
	why = "the wave before has ended"
	if w.UntilSucceeded > 0 {
		if why, err = r.awaitSuccess(ctx, paused.Add(w.Timeout)); err != nil {
			return "", "", err
		}
	}
	if w.Confirm == nil {
		return "", why, nil
	}
	n, err := r.toSend(next)
	if err != nil {
		return "", "", err
	}
	by, err = w.Confirm(ctx, NextWave{Wave: next, Of: len(w.Last), Machines: n})
	return by, "confirmed", err
}

// waitUntil waits for a moment of the wall clock. Timers stand still while the
// machine sleeps, so it looks at the clock every minute.
func (r *Runner) waitUntil(ctx context.Context, at time.Time, reason string) error {
	if left := time.Until(at); left > 0 {
		r.emitWave(Event{Kind: EventWaveWaiting, Wait: left, Reason: reason}, r.c.Waves.Progress.Open+1)
	}
	for {
		left := time.Until(at)
		switch {
		case left <= 0:
			return ctx.Err()
		case r.account.late():
			return r.account.usedUp()
		}
		if err := sleep(ctx, min(left, time.Minute)); err != nil {
			return err
		}
	}
}

// awaitSuccess looks at the tenant, less and less often, until enough machines
// of the waves so far have succeeded. It returns why the next wave may begin.
func (r *Runner) awaitSuccess(ctx context.Context, deadline time.Time) (string, error) {
	w := r.c.Waves
	for {
		s, err := r.success(ctx)
		if err != nil {
			return "", err
		}
		over := !time.Now().Before(deadline)
		switch {
		case s.reached(w.UntilSucceeded):
			return s.String(), nil
		case (over || s.next == 0) && w.OnTimeoutContinue:
			return "in spite of " + s.String(), nil
		case over || s.next == 0:
			return "", fmt.Errorf("%w: %s, and %g%% are asked for", ErrWaveHeld, s, w.UntilSucceeded)
		}
		look := time.Now().Add(s.next).Round(0)
		if deadline.Before(look) {
			look = deadline
		}
		if err := r.waitUntil(ctx, look, s.String()); err != nil {
			return "", err
		}
	}
}

// success is what became of the machines that were accepted.
type success struct {
	succeeded int
	awake     int // of the others, those that the inventory has seen lately
	others    int
	next      time.Duration // until the next look; 0: every action has ended
}

func (s success) reached(percent float64) bool {
	if s.succeeded+s.others == 0 {
		return true // there is nothing to wait for
	}
	seen := s.succeeded + s.awake
	return seen > 0 && float64(s.succeeded)*100 >= percent*float64(seen)
}

func (s success) String() string {
	return fmt.Sprintf("%d of the %d accepted machines seen in the last 48 hours have succeeded", s.succeeded, s.succeeded+s.awake)
}

// success reads the action list, records what has ended, and reads the inventory
// where that has a say. A machine that has succeeded was awake for it.
func (r *Runner) success(ctx context.Context) (s success, err error) {
	w := r.c.Waves
	f := NewFollower(r.directory, w.Owner, r.c.OnEvent)
	all, err := f.orders(w.Record)
	if err != nil {
		return s, err
	}
	var orders []*order
	for _, o := range all {
		if r.released(o.row) {
			orders = append(orders, o)
		}
	}
	if len(orders) > 0 {
		if orders, err = f.look(ctx, orders); err != nil {
			return s, err
		}
	}
	s.next = nextRound(orders)
	others, err := r.unsuccessful(&s)
	if err != nil || s.others == 0 {
		return s, err
	}
	seen, err := r.directory.ReadInventory(ctx, func(m defender.Machine) bool { return others[m.ID] })
	for _, m := range seen.Records {
		if time.Since(m.LastSeen) < Awake {
			s.awake++
		}
	}
	return s, err
}

// unsuccessful counts the accepted machines of the waves so far, and returns
// those that have not succeeded.
func (r *Runner) unsuccessful(s *success) (map[string]bool, error) {
	others := map[string]bool{}
	for m, err := range r.c.Record.Standing() {
		if err != nil {
			return nil, err
		}
		if !r.released(m.Row) {
			continue
		}
		switch m.State {
		case journal.Succeeded:
			s.succeeded++
		case journal.Accepted, journal.Failed, journal.TimedOut, journal.Cancelled:
			others[m.MachineID] = true
		default: // the service never had it
		}
	}
	s.others = len(others)
	return others, nil
}
