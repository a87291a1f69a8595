package journal

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Events yields the log from its beginning. What is added meanwhile is seen or
// not. After an error, which is yielded alone, it ends.
func (j *Journal) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for e, err := range j.storedEvents {
			if !yield(e.Event, err) {
				return
			}
		}
	}
}

func (j *Journal) storedEvents(yield func(storedEvent, error) bool) {
	next := uint64(1)
	for more := true; more; {
		var events []storedEvent
		err := j.view("read events", func(tx *bolt.Tx) (err error) {
			events, err = readEvents(tx, next)
			return err
		})
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(storedEvent{}, err)
			return
		}
		next += uint64(len(events))
		more = len(events) == eventChunk
	}
}

func readEvents(tx *bolt.Tx, next uint64) ([]storedEvent, error) {
	var events []storedEvent
	cursor := tx.Bucket(eventBucket).Cursor()
	for key, value := cursor.Seek(eventKey(next)); key != nil && len(events) < eventChunk; key, value = cursor.Next() {
		e, err := decodeEvent(key, value)
		if err == nil && e.Seq != next {
			err = fmt.Errorf("%w: event %d follows %d", ErrDamaged, e.Seq, next-1)
		}
		if err != nil {
			return events, err
		}
		e.stored = bytes.Clone(e.stored)
		events = append(events, e)
		next++
	}
	return events, nil
}

// longestCall is how long before the asked time an intent may lie whose answer
// came after it. Time-outs are a fraction of it.
const longestCall = 10 * time.Minute

// Calls returns the requests that were sent or answered since then and that
// reached the service, or may have: not those that it throttled, nor those of
// which nothing was sent. They come in no particular order. It is what a
// limiter's lost ledger is rebuilt from.
//
// What the log held already when it was in the state after is left aside; a state
// that this log never was in, such as the zero Chain, is as none.
func (j *Journal) Calls(since time.Time, after Chain) ([]Call, error) {
	return j.calls(KindIntent, since, after)
}

// CancelCalls is [Journal.Calls] for the requests to cancel.
func (j *Journal) CancelCalls(since time.Time) ([]Call, error) {
	return j.calls(KindCancelling, since, Chain{})
}

func (j *Journal) calls(intent Kind, since time.Time, after Chain) ([]Call, error) {
	c := calls{intent: intent, since: since, outcomes: map[string]Event{}}
	err := j.view("read calls", func(tx *bolt.Tx) error {
		end, err := placeIn(tx.Bucket(eventBucket), after)
		if err != nil {
			return err
		}
		var last []byte
		cursor := tx.Bucket(eventBucket).Cursor()
		for key, value := cursor.Last(); key != nil && !bytes.Equal(key, end); key, value = cursor.Prev() {
			if last != nil && bytes.Compare(key, last) >= 0 {
				return fmt.Errorf("%w: event key %x out of order", ErrDamaged, key)
			}
			last = key
			e, err := decodeEvent(key, value)
			if err != nil {
				return err
			}
			if e.Time.Before(since.Add(-longestCall)) {
				return nil
			}
			c.look(e.Event)
		}
		return nil
	})
	return c.found, err
}

// placeIn returns the key of the last event that the log had in a state; nil when it
// never was in it.
func placeIn(events *bolt.Bucket, c Chain) ([]byte, error) {
	key := eventKey(c.Length)
	value := events.Get(key)
	if value == nil {
		return nil, nil
	}
	e, err := decodeEvent(key, value)
	if err != nil || e.hash.String() != c.Head {
		return nil, err
	}
	return key, nil
}

// calls pairs intents with their outcomes while the log is read backwards.
type calls struct {
	intent   Kind
	since    time.Time
	outcomes map[string]Event // the earliest event seen of a machine's attempt
	found    []Call
}

func (c *calls) look(e Event) {
	if !e.Kind.moves() {
		return
	}
	key := e.MachineID + e.Campaign
	if e.Kind != c.intent {
		c.outcomes[key] = e
		return
	}
	outcome, known := c.outcomes[key]
	delete(c.outcomes, key)
	call := Call{Token: e.Token, Sent: e.Time}
	if known {
		if unsent(outcome) {
			return
		}
		if answered(outcome) {
			call.Answered = outcome.Time
		}
	}
	if !call.Sent.Before(c.since) || !call.Answered.Before(c.since) {
		c.found = append(c.found, call)
	}
}

// Uncounted says of the outcome of an attempt, the machine's next event after an
// intent, that its call does not count against a quota: the service throttled it, or
// nothing was sent.
func (e Event) Uncounted() bool { return unsent(e) }

// unsent says of the outcome of an attempt that its call does not count: it was
// throttled, or nothing was sent.
func unsent(e Event) bool {
	return (e.Kind == KindReleased || e.Kind == KindUncancelled) && e.Failure != nil && (e.Failure.HTTPStatus == 0 ||
		e.Failure.Reason == ReasonThrottled || e.Failure.Reason == ReasonNotSent)
}

// answered says of the outcome of an attempt that its call was over when it was
// recorded. Behind a doubt it may not be: a gateway can have answered for a
// request that is still on its way.
func answered(e Event) bool {
	switch e.Kind {
	case KindAccepted, KindCancelTaken:
		return true
	case KindDoubted, KindCancelDoubted:
		return false
	default:
		return e.Failure != nil && e.Failure.HTTPStatus != 0
	}
}
