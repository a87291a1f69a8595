package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"offboard/internal/door"
	"offboard/journal"
	"offboard/runner"
)

// doorway is [door.Place].
type doorway interface {
	Listen(journal string) (net.Listener, error)
	Dial(ctx context.Context, journal string) (net.Conn, error)
}

// ownDoors is where the doors of this account are.
func ownDoors(getenv func(string) string) doorway {
	state, err := stateDir(getenv)
	if err != nil {
		state = "" // the other places are left
	}
	return door.Place{Dirs: door.Directories(getenv, state)}
}

// stoppedError is why a context ended: somebody asked for it at the door. It has
// the exit code of SIGTERM.
type stoppedError struct{ who string }

func (s stoppedError) Error() string { return "stopped by 'offboard stop', asked for by " + s.who }
func (s stoppedError) Unwrap() error { return interruption{syscall.SIGTERM} }

// live answers at the door of a journal for the process that holds it.
type live struct {
	session  *session
	campaign *journal.Campaign
	started  time.Time
	stop     context.CancelCauseFunc

	mu       sync.Mutex
	runner   *runner.Runner // while machines are sent
	report   *progress      // nil before the first event can come
	held     *heldBy
	stopping string

	// events is locked apart from mu: Pause and Unpause are events themselves.
	events   sync.Mutex
	refusals []refused
	watchers []func(runner.Event)
}

// refusalsKept is how many of the last refusals are shown.
const refusalsKept = 5

// event keeps the last refusals, and tells who watches. It is a part of
// [progress]; without a door there is nobody to tell.
func (l *live) event(e runner.Event) {
	if l == nil {
		return
	}
	l.events.Lock()
	if e.Err != nil && (e.Kind == runner.EventOutcome || e.Kind == runner.EventCancelAnswered) {
		l.refusals = append(l.refusals[max(0, len(l.refusals)-refusalsKept+1):],
			refused{time.Now().UTC(), e.MachineID, e.State.String(), e.Err.Error()})
	}
	watchers := l.watchers
	l.events.Unlock()
	for _, watch := range watchers {
		watch(e)
	}
}

// watch has every event from now on told to a function, which must not wait, nor
// ask for the status.
func (l *live) watch(tell func(runner.Event)) {
	l.events.Lock()
	defer l.events.Unlock()
	l.watchers = append(slices.Clip(l.watchers), tell)
}

// openDoor has the process answer for its work until it is closed, and returns a
// context that ends when somebody asks for that. A door that cannot be opened
// keeps nobody from working.
func (s *session) openDoor(ctx context.Context, c *journal.Campaign, started time.Time) (context.Context, func()) {
	ctx, stop := context.WithCancelCause(ctx)
	s.live = &live{session: s, campaign: c, started: started, stop: stop}
	unwatch := s.app.metrics.watch(s.live)
	closeDoor := func() { unwatch(); stop(nil) }
	if s.app.env.doors == nil {
		return ctx, closeDoor
	}
	l, err := s.app.env.doors.Listen(s.journal.Path())
	if err != nil {
		s.app.log.Warn().AnErr("error", err).Msg("no other process can ask this one for its status, or have it stop or pause: no socket is to be had for that")
		return ctx, closeDoor
	}
	server := door.Serve(l, s.live)
	return ctx, func() { _ = server.Close(); closeDoor() }
}

// sends says that machines are being sent, until the function that it returns is
// called.
func (l *live) sends(r *runner.Runner, report *progress) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runner, l.report = r, report
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.runner, l.held = nil, nil
	}
}

func (l *live) follows(report *progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report = report
}

// Status is part of [door.Keeper].
func (l *live) Status(campaign string) (any, error) { return l.status(campaign) }

func (l *live) status(campaign string) (result, error) {
	c, err := l.campaign, error(nil)
	if campaign != "" {
		if c, err = l.session.journal.Campaign(campaign); err != nil {
			return result{}, err
		}
	}
	r, _, err := resultOf(l.session.journal, c)
	if err != nil {
		return result{}, err
	}
	l.describe(&r)
	return r, nil
}

// Campaigns is part of [door.Keeper].
func (l *live) Campaigns() (any, error) { return campaignsOf(l.session.journal) }

// describe adds what this process knows.
func (l *live) describe(r *result) {
	l.events.Lock()
	refusals := slices.Clone(l.refusals)
	l.events.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Running = &running{
		PID: os.Getpid(), Operator: operator(), Campaign: l.campaign.Info().Name,
		StartedAt: l.started, Held: l.held, Stopping: l.stopping,
		Refusals: refusals,
	}
	if l.report != nil {
		r.Running.Waiting = l.report.waiting(time.Now())
	}
	if r.Campaign != r.Running.Campaign {
		return
	}
	if r.ExitCode == nil {
		r.ExitReason = "the run has not ended"
	}
	if l.runner != nil {
		sum := l.runner.Summary()
		r.Calls = callsResult{Sent: sum.Sent, Throttled: sum.Throttled}
		r.Running.measure(l.session.calls, r.planned())
		if r.Waves != nil && r.Waves.Open < r.Waves.Of {
			r.Running.EndsAt = nil // who knows when the next wave begins
		}
	}
}

// Stop is part of [door.Keeper]: it does what the first SIGTERM does.
func (l *live) Stop(who string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping == "" {
		l.stopping = stoppedError{who}.Error()
		l.stop(stoppedError{who})
	}
	return nil
}

var errNothingToHold = errors.New("no machines are being sent, so there is nothing to pause")

// Pause is part of [door.Keeper].
func (l *live) Pause(who string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.runner == nil:
		return errNothingToHold
	case l.stopping != "":
		return errors.New(l.stopping)
	case l.held != nil:
		return nil
	}
	l.held = &heldBy{time.Now().UTC(), who}
	l.session.app.log.Warn().Str("by", who).Msg("paused by 'offboard pause': nothing is sent until 'offboard unpause'")
	l.runner.Hold()
	return nil
}

// Unpause is part of [door.Keeper].
func (l *live) Unpause(who string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runner == nil || l.held == nil {
		return nil
	}
	paused := time.Since(l.held.Since).Round(time.Second)
	l.session.app.log.Info().Str("by", who).Str("paused", fmt.Sprint(paused)).Msg("going on: 'offboard unpause'")
	l.held = nil
	l.runner.Release()
	return nil
}
