package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// progress turns the runner's events into log lines, and counts along.
type progress struct {
	log      zerolog.Logger
	limiter  *limiter.Limiter
	campaign *journal.Campaign
	tell     func(runner.Event) // who else wants to know; nil for nobody

	mu     sync.Mutex
	counts map[journal.State]int
	wait   waitingFor // the last that was begun
	steps  *steps     // nil: nobody waits for them
}

// start counts from where the campaign stands and shows progress until stop is
// called.
func (s *session) start(ctx context.Context, p *progress) (stop func(), err error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	p.line("started")
	return s.showProgress(ctx, p, work{verb: "sent", left: journal.Planned, line: p.line}), nil
}

// count begins with how the campaign stands.
func (p *progress) count() error {
	counts, err := p.campaign.Counts()
	if err != nil {
		return err
	}
	p.counts = map[journal.State]int{}
	for _, s := range journal.States() {
		p.counts[s] = counts.Of(s)
	}
	return nil
}

// undoLine is line while a campaign is being taken back.
func (p *progress) undoLine(message string) {
	p.mu.Lock()
	left := p.counts[journal.Accepted]
	e := p.log.Info().Int("to_cancel", left).Int("cancelled", p.counts[journal.Cancelled])
	p.mu.Unlock()
	e.Str("left", p.limiter.Forecast(left).Round(time.Second).String()).Msg(message)
}

func (p *progress) line(message string) {
	p.mu.Lock()
	planned := p.counts[journal.Planned]
	e := p.log.Info().Int("planned", planned).
		Int("accepted", p.counts[journal.Accepted]).
		Int("rejected", p.counts[journal.Rejected]).
		Int("in_doubt", p.counts[journal.InDoubt])
	p.mu.Unlock()
	left := p.limiter.Forecast(planned)
	status := p.limiter.Status()
	if !status.PausedUntil.IsZero() {
		// After a 429; it may have asked for longer than it is given.
		e = e.Str("paused_until", status.PausedUntil.UTC().Format(time.RFC3339))
	}
	for _, q := range status.Quotas {
		e = e.Int("used_per_"+strings.TrimSuffix(strings.TrimSuffix(q.Per.String(), "0s"), "0m"), q.Used)
	}
	e.Str("left", left.Round(time.Second).String()).Msg(message)
}

func (p *progress) move(from, to journal.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[from]--
	p.counts[to]++
	p.steps.left(p.counts)
}

// waits notes what is waited for from now on.
func (p *progress) waits(e runner.Event) {
	reason := ""
	switch e.Kind {
	case runner.EventPaused:
		reason = "the service does not answer as it should; it is asked again"
	case runner.EventThrottled:
		reason = "the service asked for a pause"
	case runner.EventFollowed:
		reason = "the next look at the action list"
	case runner.EventWaveWaiting:
		reason = fmt.Sprintf("wave %d: %s", e.Wave, e.Reason)
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = waitingFor{Reason: reason, Until: time.Now().Add(e.Wait).UTC()}
}

// waiting is what is waited for now, nil for nothing.
func (p *progress) waiting(now time.Time) *waitingFor {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.wait.Until) {
		return nil
	}
	w := p.wait
	return &w
}

// event is the runner's OnEvent.
func (p *progress) event(e runner.Event) {
	level := zerolog.InfoLevel
	p.waits(e)
	switch e.Kind {
	case runner.EventOutcome:
		p.move(journal.Planned, e.State)
		level = zerolog.DebugLevel
		if e.Err != nil {
			level = zerolog.WarnLevel
		}
	case runner.EventSettled:
		p.move(journal.InDoubt, e.State)
	case runner.EventEnded:
		p.move(journal.Accepted, e.State)
		level = zerolog.DebugLevel
		if e.State != journal.Succeeded {
			level = zerolog.WarnLevel
		}
	case runner.EventCancelAnswered:
		p.move(journal.Accepted, e.State)
		level = zerolog.DebugLevel
		if e.Err != nil {
			level = zerolog.WarnLevel
		}
	case runner.EventLooked:
		level = zerolog.DebugLevel
	case runner.EventThrottled, runner.EventPaused, runner.EventLeftInDoubt, runner.EventHeld:
		level = zerolog.WarnLevel
	default:
	}
	p.write(level, e)
	if p.tell != nil {
		p.tell(e)
	}
}

func (p *progress) write(level zerolog.Level, e runner.Event) {
	l := p.log.WithLevel(level)
	if e.MachineID != "" {
		l = l.Str("machine_id", e.MachineID)
	}
	if e.Attempt > 0 {
		l = l.Int("attempt", e.Attempt)
	}
	if e.State != 0 {
		l = l.Str("state", e.State.String())
	}
	if e.ActionID != "" {
		l = l.Str("action_id", e.ActionID)
	}
	if e.Wait > 0 {
		l = l.Str("wait", e.Wait.Round(time.Millisecond).String())
	}
	if e.Kind == runner.EventTenantRead {
		l = l.Int("actions", e.Count).Int("adopted", e.Adopted)
	}
	if e.Kind == runner.EventFollowed {
		l = l.Int("waiting", e.Count)
	}
	if e.Wave > 0 {
		l = l.Int("wave", e.Wave).Int("waves", e.Waves)
	}
	if e.Reason != "" {
		l = l.Str("reason", e.Reason)
	}
	if e.Err != nil {
		l = l.AnErr("error", e.Err)
	}
	l.Msg(string(e.Kind))
}
