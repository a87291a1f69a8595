package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"offboard/internal/failpoint"
	"offboard/journal"
)

var (
	// ErrWaveHeld is returned by [Runner.Run] when too few machines of the waves
	// so far had succeeded in time. A person's approval goes on.
	ErrWaveHeld = errors.New("the next wave was held back")
	// ErrWaveUnconfirmed is returned by [Runner.Run] when nobody has confirmed
	// the next wave.
	ErrWaveUnconfirmed = errors.New("the next wave is not confirmed")
)

// WaveError says before which wave a run stopped. Approving that wave, in
// [WaveProgress], goes on.
type WaveError struct {
	Wave, Of int
	Err      error // [ErrWaveHeld], [ErrWaveUnconfirmed] or [ErrFailures]
}

func (e *WaveError) Error() string {
	return fmt.Sprintf("wave %d of %d is not begun: %v", e.Wave, e.Of, e.Err)
}

func (e *WaveError) Unwrap() error { return e.Err }

// Waves divide a campaign into parts that are sent one after the other. A wave
// has ended when no machine of it is left to send or to settle; one that is left
// in doubt holds nothing up. No machine of a wave is sent before the wave was
// released and Keep has put that on disk.
type Waves struct {
	// Last is the last row of each wave, rising. What lies behind the last
	// belongs to the last wave.
	Last []int
	// Pause is the least time between the end of a wave and the next one.
	Pause time.Duration
	// UntilSucceeded is the percentage that has to have succeeded of the
	// machines of all waves so far that were accepted and that the inventory
	// has seen in the last two days. Where there are such machines but none was
	// seen, that is not reached. 0 asks for nothing.
	UntilSucceeded float64
	// Timeout is how long that is waited for, from the end of the pause. Then
	// the run ends with ErrWaveHeld, or goes on with OnTimeoutContinue. So it
	// does as soon as every action has ended.
	Timeout           time.Duration
	OnTimeoutContinue bool
	// Failures is what a wave, over all runs, may have for another to follow. The
	// limit of the run's budget holds beside it. Nil: any number.
	Failures *FailureLimit
	// Confirm asks a person whether the next wave may begin, and returns who
	// said so, or an error that is [ErrWaveUnconfirmed]. Nil: nobody is asked.
	Confirm func(context.Context, NextWave) (who string, err error)

	Progress WaveProgress
	// Keep writes the progress down; it returns when it is on disk.
	Keep func(WaveProgress) error
	// Record and Owner are what a [Follower] needs; only UntilSucceeded does.
	Record Followed
	Owner  func(campaign string) (Followed, error)
}

// NextWave is the wave that somebody is asked about.
type NextWave struct {
	Wave, Of int
	Machines int // to be sent
}

// WaveProgress is how far the waves of a campaign are. The times are the wall
// clock's, since they outlive the process.
type WaveProgress struct {
	Open  int       `json:"open"`           // the newest wave that was released; the first is 1
	Ended time.Time `json:"ended,omitzero"` // when it did, zero while it is being sent
	// Approved is the wave that a person has said may begin as soon as the one
	// before has ended, whatever else is asked for; but if that had not ended when
	// they said so, its failures are looked at still.
	Approved   int           `json:"approved,omitempty"`
	ApprovedBy string        `json:"approved_by,omitempty"`
	ApprovedAt time.Time     `json:"approved_at,omitzero"`
	Releases   []WaveRelease `json:"releases,omitempty"` // of the second wave and on
}

// WaveRelease says why and when a wave was begun.
type WaveRelease struct {
	Wave int       `json:"wave"`
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"` // the person, if one was asked
	Why  string    `json:"why"`
}

func (w *Waves) validate() error {
	switch {
	case w == nil:
		return nil
	case w.Keep == nil, w.UntilSucceeded > 0 && (w.Record == nil || w.Owner == nil):
		return fmt.Errorf("%w: waves need Keep, and with UntilSucceeded Record and Owner", ErrConfig)
	case w.Pause < 0, w.Timeout < 0, w.UntilSucceeded < 0, w.UntilSucceeded > 100:
		return fmt.Errorf("%w: a bound of the waves makes no sense", ErrConfig)
	case len(w.Last) == 0, !slices.IsSorted(w.Last), w.Progress.Open < 0, w.Progress.Open > len(w.Last):
		return fmt.Errorf("%w: the waves make no sense", ErrConfig)
	}
	return nil
}

// WaveOf returns the wave of a row, given the last row of each. The first is 1.
func WaveOf(last []int, row int) int {
	n, _ := slices.BinarySearch(last, row)
	return min(n, len(last)-1) + 1
}

// released says whether the machine of a row may be sent.
func (r *Runner) released(row int) bool {
	w := r.c.Waves
	return w == nil || WaveOf(w.Last, row) <= w.Progress.Open
}

// staged sends one wave after the other. If we crash anywhere, Keep has what the
// next run goes on from: the same wave, or the rest of the wait behind it.
func (r *Runner) staged(ctx context.Context) error {
	w := r.c.Waves
	w.Progress.Open = max(w.Progress.Open, 1)
	for {
		r.emitWave(Event{Kind: EventWaveBegun}, w.Progress.Open)
		if err := r.pass(ctx); err != nil {
			if errors.Is(err, ErrFailures) {
				err = fmt.Errorf("wave %d of %d: %w", w.Progress.Open, len(w.Last), err)
			}
			return err
		}
		if err := r.waveEnded(); err != nil || w.Progress.Open == len(w.Last) {
			return err
		}
		if err := r.between(ctx); err != nil {
			return err
		}
	}
}

// waveEnded notes when the open wave ended. A wave that had ended in an earlier
// run and of which nothing was sent since ended then.
func (r *Runner) waveEnded() error {
	p := r.c.Waves.Progress
	if !p.Ended.IsZero() {
		return nil
	}
	p.Ended = time.Now().UTC()
	r.emitWave(Event{Kind: EventWaveEnded}, p.Open)
	err := r.keep(p)
	failpoint.Hit(failpoint.WaveEnded)
	return err
}

// reopen notes, before something is sent, that the open wave has not ended. If we
// crash after the request, the next wave is as far from it as from any other.
func (r *Runner) reopen() error {
	if r.c.Waves == nil {
		return nil
	}
	r.reopening.Lock()
	defer r.reopening.Unlock()
	p := r.c.Waves.Progress
	if p.Ended.IsZero() {
		return nil
	}
	p.Ended = time.Time{}
	return r.keep(p)
}

func (r *Runner) keep(p WaveProgress) error {
	if err := r.c.Waves.Keep(p); err != nil {
		return err
	}
	r.c.Waves.Progress = p
	return nil
}

// release begins the next wave.
func (r *Runner) release(by, why string) error {
	p := r.c.Waves.Progress
	p.Open, p.Ended = p.Open+1, time.Time{}
	p.Releases = append(slices.Clone(p.Releases), WaveRelease{p.Open, time.Now().UTC(), by, why})
	if err := r.keep(p); err != nil {
		return err
	}
	failpoint.Hit(failpoint.WaveReleased)
	r.emitWave(Event{Kind: EventWaveReleased, Reason: why}, p.Open)
	return nil
}

func (r *Runner) emitWave(e Event, wave int) {
	e.Wave, e.Waves = wave, len(r.c.Waves.Last)
	r.emit(e)
}

// waveFailures says why the open wave had too many failures for another to
// follow, "" if it had not. Those of earlier runs count as well.
func (r *Runner) waveFailures() (string, error) {
	w := r.c.Waves
	outcomes, refused := 0, 0
	for s, err := range r.c.Record.Standing() {
		if err != nil {
			return "", err
		}
		if s.Attempts == 0 || s.State == journal.Excluded || WaveOf(w.Last, s.Row) != w.Progress.Open {
			continue
		}
		outcomes++
		if s.State == journal.Rejected {
			refused++
		}
	}
	why := r.account.Failures.exceeded(refused, outcomes, "in the wave")
	return cmp.Or(why, w.Failures.exceeded(refused, outcomes, "in the wave")), nil
}

// toSend counts the machines of a wave that are left to send.
func (r *Runner) toSend(wave int) (n int, err error) {
	for s, err := range r.c.Record.Standing(journal.Planned) {
		if err != nil {
			return 0, err
		}
		if WaveOf(r.c.Waves.Last, s.Row) == wave {
			n++
		}
	}
	return n, nil
}
