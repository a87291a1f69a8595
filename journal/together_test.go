package journal_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"offboard/journal"
)

// TestAcceptAndBegin: an outcome and the next intent share a commit, and the
// refusal of one leaves the other alone.
func TestAcceptAndBegin(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(4))
	_, err := c.Begin(id(0), 1)
	must(t, err)
	var metas atomic.Int64
	journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
		return func(b []byte, off int64) (int, error) {
			if (diskWrite{off: off}).isMeta() {
				metas.Add(1)
			}
			return write(b, off)
		}
	})
	a, accepted, begun := c.AcceptAndBegin(id(0), pending("a"), journal.Ours, id(1), 2)
	if accepted != nil || begun != nil || a.Number != 1 || metas.Load() != 1 {
		t.Errorf("%+v, %v, %v in %d commits", a, accepted, begun, metas.Load())
	}
	_, accepted, begun = c.AcceptAndBegin(id(1), pending("b"), journal.Ours, id(0), 3)
	if accepted != nil || !errors.Is(begun, journal.ErrSettled) {
		t.Errorf("a next one that is accepted already: %v, %v", accepted, begun)
	}
	a, accepted, begun = c.AcceptAndBegin(id(1), pending("c"), journal.Ours, id(2), 4)
	if !errors.Is(accepted, journal.ErrTransition) || begun != nil || a.Number != 1 {
		t.Errorf("an outcome of what is not under way: %v, %v", accepted, begun)
	}
	_, accepted, begun = c.AcceptAndBegin(id(2), pending("d"), journal.Ours, "no id", 5)
	if accepted != nil || !errors.Is(begun, journal.ErrMachineID) {
		t.Errorf("a next one that is no machine: %v, %v", accepted, begun)
	}
	counts, err := c.Counts()
	must(t, err)
	if counts.Of(journal.Accepted) != 3 || counts.Of(journal.Planned) != 1 {
		t.Errorf("%+v", counts)
	}
	_, err = j.Check(t.Context())
	must(t, err)
}
