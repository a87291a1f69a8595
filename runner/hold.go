package runner

import (
	"context"
	"sync"
)

// hold keeps the workers from beginning anything for as long as somebody wants.
// Its zero value holds nobody.
type hold struct {
	mu       sync.Mutex
	released chan struct{} // closed by release; nil while nobody is held
}

// set begins to hold or ends it, and says whether that changed anything.
func (h *hold) set(held bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held == (h.released != nil) {
		return false
	}
	if held {
		h.released = make(chan struct{})
		return true
	}
	close(h.released)
	h.released = nil
	return true
}

func (h *hold) on() bool { return h.until() != nil }

func (h *hold) until() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.released
}

// wait returns when nobody is held, or ctx is done.
func (h *hold) wait(ctx context.Context) error {
	for {
		released := h.until()
		if released == nil {
			return ctx.Err()
		}
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hold keeps the run from beginning another offboard request until [Runner.Release].
// What is in flight is finished and recorded, and machines in doubt go on being
// looked at, since a look changes nothing. The time of a [Budget] runs on, and the
// run can be stopped as ever. It may be called at any time and by any goroutine;
// of several calls the first counts.
func (r *Runner) Hold() {
	if r.hold.set(true) {
		r.emit(Event{Kind: EventHeld})
	}
}

// Release ends a [Runner.Hold]. Without one it does nothing.
func (r *Runner) Release() {
	if r.hold.set(false) {
		r.emit(Event{Kind: EventReleased})
	}
}
