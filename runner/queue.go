package runner

import (
	"context"
	"sync"
)

// work is one machine to send.
type work struct {
	machineID string
	row       uint32 // its place in the list
	// lookAgain says that the service did not know this machine at the last
	// look; the same answer now is believed.
	lookAgain bool
}

// queue hands machines to the workers in list order. It is finished when no
// machine is ready, none is out with a worker, and none may still come back
// from being settled.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	ready   []work
	last    []work // ready once everything else has been sent
	out     int
	doubts  int
}

func newQueue(ready, last []work) *queue {
	q := &queue{ready: ready, last: last}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// take waits for a machine. It returns false when the queue is finished or ctx
// is done.
func (q *queue) take(ctx context.Context) (work, bool) {
	defer context.AfterFunc(ctx, func() { q.update(func() {}) })()
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case ctx.Err() != nil:
			return work{}, false
		case len(q.ready) > 0:
			return q.pop(), true
		case q.out > 0 || q.doubts > 0:
			q.changed.Wait()
		case len(q.last) > 0:
			q.ready, q.last = q.last, nil
		default:
			return work{}, false
		}
	}
}

// waiting says whether a machine is ready.
func (q *queue) waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready) > 0
}

// tryTake is take that does not wait.
func (q *queue) tryTake() (work, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		return work{}, false
	}
	return q.pop(), true
}

func (q *queue) pop() work {
	w := q.ready[0]
	q.ready = q.ready[1:]
	q.out++
	return w
}

// unfinished says whether anything is left to send or to settle.
func (q *queue) unfinished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready)+len(q.last)+q.out+q.doubts > 0
}

// done gives a machine back that has its outcome.
func (q *queue) done() { q.update(func() { q.out-- }) }

// again gives a machine back that is to be sent as soon as may be.
func (q *queue) again(w work) { q.update(func() { q.out--; q.ready = append(q.ready, w) }) }

// later gives a machine back that is to be looked at once more at the end.
func (q *queue) later(w work) {
	w.lookAgain = true
	q.update(func() { q.out--; q.last = append(q.last, w) })
}

// doubted announces a machine that settling may bring back.
func (q *queue) doubted() { q.update(func() { q.doubts++ }) }

// settled takes a doubt back; send says that its machine is to be sent again.
func (q *queue) settled(machineID string, send bool) {
	q.update(func() {
		q.doubts--
		if send {
			q.ready = append(q.ready, work{machineID: machineID})
		}
	})
}

func (q *queue) update(change func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change()
	q.changed.Broadcast()
}
