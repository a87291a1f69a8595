package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	bolt "go.etcd.io/bbolt"

	"offboard/internal/failpoint"
)

// maxBatch bounds how many operations share a transaction.
const maxBatch = 1024

// errNothingWritten ends a transaction without the cost of a commit.
var errNothingWritten = errors.New("nothing was written")

var errClosed = fmt.Errorf("%w: %w", ErrStopped, os.ErrClosed)

// operation are changes that go to the disk in one transaction. Each validates
// before it writes, so that its refusal leaves the others of its batch alone.
type operation struct {
	changes []func(*batch) error
	results []error // of the changes, once it is done
	done    chan struct{}
}

func (o *operation) fail(err error) *operation {
	for i := range o.results {
		o.results[i] = err
	}
	return o
}

// do has the committer carry out a change and returns when it is on disk.
func (j *Journal) do(op string, change func(*batch) error) error {
	return j.explain(op, j.together(change)[0])
}

// together has the committer carry out changes in one transaction, and returns
// what came of each when they are on disk.
func (j *Journal) together(changes ...func(*batch) error) []error {
	o := &operation{changes: changes, results: make([]error, len(changes)), done: make(chan struct{})}
	if j.readOnly {
		return o.fail(ErrReadOnly).results
	}
	select {
	case j.operations <- o:
		<-o.done
		return o.results
	case <-j.closing:
		return o.fail(errClosed).results
	}
}

// commitAll is the committer: it alone writes.
func (j *Journal) commitAll() {
	defer close(j.stopped)
	for {
		select {
		case first := <-j.operations:
			j.commit(j.gather(first))
		case <-j.closing:
			return
		}
	}
}

// gather takes the operations that wait. Those whose goroutines were just woken
// by the last commit get a chance to come along.
func (j *Journal) gather(first *operation) []*operation {
	batch := []*operation{first}
	for range 2 {
		runtime.Gosched()
		for more := true; more && len(batch) < maxBatch; {
			select {
			case o := <-j.operations:
				batch = append(batch, o)
			default:
				more = false
			}
		}
	}
	return batch
}

// commit carries out a batch in one transaction. If that fails, nobody knows
// what is on disk: all of the batch fail, and so does whatever comes later.
func (j *Journal) commit(operations []*operation) {
	err := j.stoppedBy()
	if err == nil {
		err = guard(func() error {
			return j.db.Update(func(tx *bolt.Tx) error { return j.applyAll(tx, operations) })
		})
		if errors.Is(err, errNothingWritten) {
			err = nil
		} else if err = errors.Join(err, j.vanished()); err != nil {
			err = fmt.Errorf("%w: %w", ErrStopped, err)
			j.broken.Store(&err)
		}
	}
	failpoint.Hit(failpoint.BatchSynced)
	for _, o := range operations {
		if err != nil {
			o.fail(err)
		}
		close(o.done)
	}
}

func (j *Journal) stoppedBy() error {
	if err := j.broken.Load(); err != nil {
		return *err
	}
	return nil
}

func (j *Journal) applyAll(tx *bolt.Tx, operations []*operation) error {
	b := newBatch(tx, j.now().UTC())
	for _, o := range operations {
		for i, change := range o.changes {
			before := b.writes
			o.results[i] = change(b)
			if o.results[i] != nil && b.writes > before {
				return fmt.Errorf("refused after a write: %w", o.results[i])
			}
			if b.err != nil {
				return b.err
			}
		}
	}
	if b.writes == 0 {
		return errNothingWritten
	}
	failpoint.Hit(failpoint.BatchApplied)
	return b.putCounts()
}

// batch is a transaction under way. Its now is the time of all that it writes.
// A write that fails is kept in err and fails the transaction.
type batch struct {
	machines, events, campaigns *bolt.Bucket
	counted                     *bolt.Bucket       // nil in a journal without counts
	counts                      map[uint32]*Counts // that the batch has changed, by campaign
	looked                      group              // the machine that was looked at last, unless it was written since
	now                         time.Time
	head                        *digest // of the log as the batch leaves it; nil before its first event
	writes                      int
	err                         error
}

func newBatch(tx *bolt.Tx, now time.Time) *batch {
	b := &batch{
		machines: tx.Bucket(machineBucket), events: tx.Bucket(eventBucket), campaigns: tx.Bucket(campaignBucket),
		counted: tx.Bucket(countBucket), now: now,
	}
	// Events are only ever added at the end, so that full pages stay as they are.
	b.events.FillPercent = 0.95
	return b
}

func (b *batch) put(bucket *bolt.Bucket, key, value []byte, err error) {
	b.writes++
	if err == nil {
		err = bucket.Put(key, value)
	}
	b.err = errors.Join(b.err, err)
}

// next counts a bucket's sequence up.
func (b *batch) next(bucket *bolt.Bucket) uint64 {
	seq, err := bucket.NextSequence()
	b.err = errors.Join(b.err, err)
	return seq
}

// look returns all records of a machine, for those who need them more than once.
func (b *batch) look(id rawID) (*group, error) {
	if len(b.looked.records) > 0 && b.looked.id == id {
		return &b.looked, nil
	}
	b.looked = group{}
	for g := range machineGroups(b.machines, id, 1) {
		if g.err != nil {
			return nil, g.err
		}
		if g.id == id {
			b.looked = *g
		}
	}
	return &b.looked, nil
}

// record reads a record; nil when there is none.
func (b *batch) record(key []byte) (*record, error) {
	value := b.machines.Get(key)
	if value == nil {
		return nil, nil
	}
	return decodeRecord(key, value)
}

func (b *batch) putRecord(key []byte, r *record) {
	value, err := encodeRecord(key, r)
	if err == nil {
		err = b.countAnew(key, value)
	}
	b.looked = group{}
	b.put(b.machines, key, value, err)
}

func (b *batch) putEvent(e *Event) {
	if b.head == nil {
		_, head, err := chainEnd(b.events)
		b.head, b.err = &head, errors.Join(b.err, err)
	}
	e.Time = b.now
	seq := b.next(b.events)
	value, hash, err := encodeEvent(*b.head, seq, e)
	*b.head = hash
	b.put(b.events, eventKey(seq), value, err)
}
