package journal_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"offboard/journal"
)

// TestGroupCommit: many writers at once all get their change, and share commits.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	const writers, each = 64, 10
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(writers*each))
	var metas atomic.Int64
	journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
		return func(b []byte, off int64) (int, error) {
			if (diskWrite{off: off}).isMeta() {
				metas.Add(1)
			}
			return write(b, off)
		}
	})
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := range each {
				machine := id(w*each + n)
				if _, err := c.Begin(machine, 1); err != nil {
					t.Error(err)
				}
				if err := c.Accept(machine, pending("a"), journal.Ours); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	counts, err := c.Counts()
	must(t, err)
	if counts.Of(journal.Accepted) != writers*each {
		t.Errorf("%d accepted", counts.Of(journal.Accepted))
	}
	changes := int64(2 * writers * each)
	t.Logf("%d changes in %d commits", changes, metas.Load())
	if metas.Load() > changes/4 {
		t.Errorf("%d changes took %d commits", changes, metas.Load())
	}
	before := metas.Load()
	if _, err := c.Begin(id(0), 1); !errors.Is(err, journal.ErrSettled) || metas.Load() != before {
		t.Errorf("a refusal: %v, after %d commits", err, metas.Load()-before)
	}
}

// TestOneWinner: of many that begin the same machine at once, through several
// campaigns, one may send it; the refused do no harm to their batch.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(20)
	campaigns := []*journal.Campaign{started(t, j, "a", list), started(t, j, "b", list), started(t, j, "c", list)}
	var won [20]atomic.Int64
	var group sync.WaitGroup
	for w := range 24 {
		c := campaigns[w%len(campaigns)]
		group.Go(func() {
			for n := range list {
				_, err := c.Begin(id(n), 1)
				switch {
				case err == nil:
					won[n].Add(1)
				case !errors.Is(err, journal.ErrInDoubt):
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for n := range won {
		if won[n].Load() != 1 {
			t.Errorf("machine %d may be sent by %d", n, won[n].Load())
		}
	}
}
