package runner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"offboard/defender"
)

// overlap is how many rows of a page are read again with the next one. Offsets
// slide when rows vanish during a walk, and a row that slides by less than this
// is not missed.
const overlap = 200

// Directory reads what the tenant holds: its machines and their actions.
type Directory struct {
	service  Lists
	limiter  Limiter
	retryFor time.Duration
	onEvent  func(Event)

	mu    sync.Mutex
	since time.Time // of the first failure after the last answer
}

// NewDirectory returns a Directory that makes its calls under the limiter's
// quota, which is that of the list APIs. Reading has no effect, so whatever
// fails is asked again, for retryFor at most; onEvent, if set, is told of each
// pause before that.
func NewDirectory(s Lists, l Limiter, retryFor time.Duration, onEvent func(Event)) *Directory {
	return &Directory{service: s, limiter: l, retryFor: retryFor, onEvent: onEvent}
}

// offboards returns a machine's Offboard actions.
func (d *Directory) offboards(ctx context.Context, machineID string) ([]defender.MachineAction, error) {
	var all []defender.MachineAction
	filter := defender.ActionFilter{MachineID: machineID, Type: defender.TypeOffboard}
	for a, err := range d.actions(ctx, filter) {
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func (d *Directory) actions(ctx context.Context, f defender.ActionFilter) iter.Seq2[defender.MachineAction, error] {
	return pages(ctx, d,
		func(p defender.Page) ([]defender.MachineAction, int, error) {
			page, err := d.service.Actions(ctx, f, p)
			return page.Items, page.Received, err
		},
		func(a defender.MachineAction) string { return a.ID })
}

func (d *Directory) machines(ctx context.Context, f defender.MachineFilter) iter.Seq2[defender.Machine, error] {
	return pages(ctx, d,
		func(p defender.Page) ([]defender.Machine, int, error) {
			page, err := d.service.Machines(ctx, f, p)
			return page.Items, page.Received, err
		},
		func(m defender.Machine) string { return m.ID })
}

// pages walks a list by $top and $skip until a page is short, and yields each
// row once.
func pages[T any](ctx context.Context, d *Directory, get func(defender.Page) ([]T, int, error), id func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := make(map[string]bool)
		var none T
		for skip := 0; ; skip += defender.MaxPage - overlap {
			rows, received, err := page(ctx, d, get, defender.Page{Top: defender.MaxPage, Skip: skip})
			if err != nil {
				yield(none, err)
				return
			}
			for _, row := range rows {
				if seen[id(row)] {
					continue
				}
				seen[id(row)] = true
				if !yield(row, nil) {
					return
				}
			}
			if received < defender.MaxPage {
				return
			}
		}
	}
}

// page reads one page, as often as it takes.
func page[T any](ctx context.Context, d *Directory, get func(defender.Page) ([]T, int, error), p defender.Page) ([]T, int, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		token, err := d.limiter.Take(ctx)
		if err != nil {
			return nil, 0, err
		}
		rows, received, err := get(p)
		spend(token, err)
		e, _ := asDefender(err)
		switch {
		case err == nil:
			d.answered()
			return rows, received, nil
		case e != nil && (e.Meaning == defender.Stop || e.Meaning == defender.Refused):
			return nil, 0, err
		case d.failing() >= d.retryFor:
			return nil, 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
		case errors.Is(err, defender.ErrThrottled):
			d.emit(Event{Kind: EventThrottled, Wait: e.RetryAfter, Err: err})
			continue // the limiter makes everyone wait
		}
		d.emit(Event{Kind: EventPaused, Wait: pause, Err: err})
		if err := sleep(ctx, pause); err != nil {
			return nil, 0, err
		}
	}
}

func (d *Directory) emit(e Event) {
	if d.onEvent != nil {
		d.onEvent(e)
	}
}

func (d *Directory) answered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = time.Time{}
}

// failing says for how long nothing has been answered, whatever was asked: a
// list that is out of order is waited for once, not once for each machine.
func (d *Directory) failing() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since.IsZero() {
		d.since = time.Now()
	}
	return time.Since(d.since)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Probe asks for a single action, to find out whether the API is there and may
// be read. A token that is refused is not the last word: it may have expired.
func (d *Directory) Probe(ctx context.Context) error {
	err := d.probe(ctx)
	if errors.Is(err, defender.ErrTokenRefused) {
		err = d.probe(ctx)
	}
	return err
}

func (d *Directory) probe(ctx context.Context) error {
	token, err := d.limiter.Take(ctx)
	if err != nil {
		return err
	}
	_, err = d.service.Actions(ctx, defender.ActionFilter{Type: defender.TypeOffboard}, defender.Page{Top: 1})
	spend(token, err)
	return err
}
