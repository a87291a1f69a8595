package journal_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
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

// TestTogetherAsApart: what AcceptAndBegin writes is what Accept and Begin write, to
// the byte of an export, whichever of the two is refused.
func TestTogetherAsApart(t *testing.T) {
	t.Parallel()
	together := func(c *journal.Campaign, of, next string, a journal.Action) error {
		_, accepted, begun := c.AcceptAndBegin(of, a, journal.Ours, next, 7)
		return errors.Join(accepted, begun)
	}
	apart := func(c *journal.Campaign, of, next string, a journal.Action) error {
		accepted := c.Accept(of, a, journal.Ours)
		_, begun := c.Begin(next, 7)
		return errors.Join(accepted, begun)
	}
	var exports []string
	for _, do := range []func(*journal.Campaign, string, string, journal.Action) error{together, apart} {
		j := mustOpen(t, journalPath(t), journal.Options{Now: newClock().Now})
		c := started(t, j, "spring", machines(6))
		said := &strings.Builder{}
		begin(t, c, id(0))
		for n, next := range []string{id(1), id(2), id(1), "no id", id(9), id(4)} {
			a := withStatus(pending(fmt.Sprint("a", n)), []string{"Pending", "Succeeded"}[n%2])
			err := do(c, id(n), next, a)
			_, _ = fmt.Fprintln(said, strings.ReplaceAll(fmt.Sprint(err), filepath.Dir(j.Path()), ""))
		}
		must(t, j.Export(said))
		exports = append(exports, said.String())
		_, err := j.Check(t.Context())
		must(t, err)
	}
	if exports[0] != exports[1] {
		t.Errorf("together:\n%s\napart:\n%s", exports[0], exports[1])
	}
}
