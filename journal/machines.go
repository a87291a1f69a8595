package journal

import (
	"bytes"
	"fmt"
	"iter"
	"os"

	bolt "go.etcd.io/bbolt"
)

// readAll is to be called before all machines are read. Their order is not that of
// the file's pages, of which the disk would be asked for one at a time; a file that
// was not read lately is read as fast as the disk can once, in its own order.
func (j *Journal) readAll() {
	j.ahead.Do(func() {
		f, err := os.Open(j.path)
		if err != nil {
			return // the reading itself says so if it matters
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil {
			readAhead(f, info.Size())
		}
	})
}

// readMachines yields what read makes of every machine of the journal, but for
// those of which it makes nothing.
func readMachines[T any](j *Journal, op, campaign string, chunk int, read func(*group, *T) (bool, error)) iter.Seq2[T, error] {
	return readSpan(j, op, campaign, span{}, chunk, read)
}

// readHalves is readMachines for a reading that finds little of what it goes through:
// two goroutines go through a half of the ids each. Of the second half no more is kept
// than a chunk.
func readHalves[T any](j *Journal, op, campaign string, chunk int, read func(*group, *T) (bool, error)) iter.Seq2[T, error] {
	type result struct {
		item T
		err  error
	}
	return func(yield func(T, error) bool) {
		middle := rawID{0x80} // ids are as good as random
		second, stop := make(chan result, chunk), make(chan struct{})
		defer close(stop)
		go func() {
			defer close(second)
			for item, err := range readSpan(j, op, campaign, span{from: middle}, chunk, read) {
				select {
				case second <- result{item, err}:
				case <-stop:
					return
				}
			}
		}()
		for item, err := range readSpan(j, op, campaign, span{to: middle}, chunk, read) {
			if !yield(item, err) || err != nil {
				return
			}
		}
		for r := range second {
			if !yield(r.item, r.err) {
				return
			}
		}
	}
}

// span is a part of the ids: from one on, up to another one, which is not in it; the
// zero one is no end.
type span struct{ from, to rawID }

func (s span) ends(id rawID) bool { return s.to != (rawID{}) && compareIDs(id, s.to) >= 0 }

// meets makes sure that what goes through the rest of the ids begins where the part
// ended: between keys that do not ascend, something could lie that neither sees.
func (s span) meets(tx *bolt.Tx, end []byte) error {
	if next, _ := tx.Bucket(machineBucket).Cursor().Seek(s.to[:]); !bytes.Equal(next, end) {
		return fmt.Errorf("%w: key %x out of order", ErrDamaged, end)
	}
	return nil
}

// readSpan is readMachines for a part of the ids.
func readSpan[T any](j *Journal, op, campaign string, s span, chunk int, read func(*group, *T) (bool, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		j.readAll()
		s, items := s, []T(nil)
		for more := true; more; {
			err := j.view(op, func(tx *bolt.Tx) (err error) {
				items, s.from, more, err = readChunk(tx, s, chunk, read, items[:0])
				return err
			})
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, j.explainCampaign(op, campaign, err))
				return
			}
		}
	}
}

// readChunk reads the next machines of the journal, of which read may make
// nothing, into items. It returns where to go on, and whether there is more.
func readChunk[T any](tx *bolt.Tx, s span, limit int, read func(*group, *T) (bool, error), items []T) ([]T, rawID, bool, error) {
	var item T
	count, last := 0, s.from
	for g := range machineGroups(tx.Bucket(machineBucket), s.from, limit) {
		if g.err != nil {
			return items, s.from, false, g.err
		}
		if s.ends(g.id) {
			return items, s.from, false, s.meets(tx, g.records[0].key)
		}
		count, last = count+1, g.id
		found, err := read(g, &item)
		if err != nil {
			return items, s.from, false, err
		}
		if found {
			items = append(items, item)
		}
	}
	next, ok := last.after()
	if more := ok && count == limit; more || s.to == (rawID{}) {
		return items, next, more, nil
	}
	return items, next, false, s.meets(tx, nil)
}
