package runner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueueOrder(t *testing.T) {
	t.Parallel()
	q := newQueue([]work{{machineID: "a"}, {machineID: "b"}}, []work{{machineID: "z", lookAgain: true}})
	var got string
	for range 5 {
		w, ok := q.take(t.Context())
		if !ok {
			t.Fatal("finished too early")
		}
		got += w.machineID
		switch {
		case w.machineID == "a" && len(got) == 1:
			q.again(w)
		case w.machineID == "b" && !w.lookAgain:
			q.later(w)
		default:
			q.done()
		}
	}
	if got != "abazb" {
		t.Errorf("taken in the order %s", got)
	}
	if _, ok := q.take(t.Context()); ok {
		t.Error("not finished")
	}
}

// TestQueueWaitsForDoubts: a machine that may come back from being settled
// keeps the queue from finishing.
func TestQueueWaitsForDoubts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(nil, nil)
		q.doubted()
		q.doubted()
		time.AfterFunc(time.Minute, func() { q.settled("a", true) })
		time.AfterFunc(2*time.Minute, func() { q.settled("b", false) })
		began := time.Now()
		if w, ok := q.take(t.Context()); !ok || w.machineID != "a" || time.Since(began) != time.Minute {
			t.Errorf("took %v, %v after %s", w, ok, time.Since(began))
		}
		q.done()
		if _, ok := q.take(t.Context()); ok || time.Since(began) != 2*time.Minute {
			t.Errorf("finished: %v after %s", !ok, time.Since(began))
		}
	})
}

func TestQueueStopsWaitingAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(nil, nil)
		q.doubted()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, ok := q.take(ctx); ok || time.Since(began) != time.Second {
			t.Errorf("took something, or waited for %s", time.Since(began))
		}
	})
}
