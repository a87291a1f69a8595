package journal_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"offboard/internal/proof"
	"offboard/journal"
)

// failures are the ways in which the n-th write of a journal fails.
var failures = map[string]func(j *journal.Journal, n int, size int64){
	"not applied":          failWrite(false),
	"applied, not told so": failWrite(true), // as after a sync that failed
	"no room to grow":      func(j *journal.Journal, n int, size int64) { journal.Limit(j, int(size)<<(n-1)) },
}

func failWrite(applied bool) func(*journal.Journal, int, int64) {
	return func(j *journal.Journal, n int, _ int64) {
		writes := 0
		journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
			return func(b []byte, off int64) (int, error) {
				if writes++; writes != n {
					return write(b, off)
				}
				if applied {
					if _, err := write(b, off); err != nil {
						return 0, err
					}
				}
				return 0, &os.PathError{Op: "write", Path: j.Path(), Err: syscall.EIO}
			}
		})
	}
}

// TestStoppedAfterAFailedCommit lets the n-th write fail, for n = 1, 2, 3… until
// everything succeeds. Nothing is sent once a commit has failed, and what was
// sent is never planned afterwards. The negative control is a sender that does
// not wait for the intent to be on disk.
func TestStoppedAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "failing writes of the journal"}
	for name, fail := range failures {
		failed := row.Faults
		for n := 1; sendOn(t, n, fail, false, &row.Violations); n++ {
			row.Cases, row.Faults = row.Cases+1, row.Faults+1
		}
		if row.Faults == failed {
			t.Errorf("%s: no write failed", name)
		}
	}
	row.Controls = 1
	if missed := 0; sendOn(t, 1, failures["not applied"], true, &missed) && missed > 0 {
		row.Caught = 1
	}
	proof.Report(t, row)
}

// sendOn sends machine after machine while the n-th write fails, and counts
// those that were sent and are planned when the journal is opened again. It
// reports whether a write failed at all.
func sendOn(t *testing.T, n int, fail func(*journal.Journal, int, int64), careless bool, violations *int) bool {
	t.Helper()
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	defer j.Close()
	fleet := proof.Cases(3, 20)
	c := started(t, j, "spring", machines(fleet))
	info, err := os.Stat(path)
	must(t, err)
	fail(j, n, info.Size())
	var sent []int
	var failure error
	for m := range fleet {
		_, err := c.Begin(id(m), 1)
		if failure != nil && !errors.Is(err, journal.ErrStopped) {
			t.Errorf("write %d: an intent after the failure: %v", n, err)
		}
		if err == nil || careless {
			sent = append(sent, m)
		}
		if err == nil {
			err = c.Accept(id(m), large, journal.Ours)
		}
		if failure == nil {
			failure = err
		}
	}
	if failure == nil {
		return false
	}
	if !errors.Is(failure, journal.ErrStopped) {
		t.Fatalf("write %d: %v, want ErrStopped", n, failure)
	}
	if _, err := j.StartCampaign(journal.Info{Name: "summer"}); !errors.Is(err, journal.ErrStopped) {
		t.Errorf("write %d: a campaign after the failure: %v", n, err)
	}
	must(t, j.Close())
	*violations += plannedAmong(t, path, sent)
	return true
}

// large is an action that lets the file grow.
var large = journal.Action{ID: "a", Status: "Pending", Raw: fmt.Appendf(nil, `{"pad":"%020000d"}`, 0)}

// plannedAmong opens the journal again and counts the machines that it would
// send once more.
func plannedAmong(t *testing.T, path string, sent []int) int {
	t.Helper()
	j := mustOpen(t, path, journal.Options{})
	c, err := j.Campaign("spring")
	must(t, err)
	planned := 0
	for _, m := range sent {
		if entry(t, c, id(m)).State == journal.Planned {
			planned++
		}
	}
	must(t, j.Close())
	return planned
}

// TestUnfinishedListSendsNothing lets the disk fail half way through a list.
func TestUnfinishedListSendsNothing(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	c := started(t, j, "spring", machines(10))
	commits := 0
	journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
		return func(b []byte, off int64) (int, error) {
			if (diskWrite{off: off}).isMeta() {
				if commits++; commits == 3 {
					return 0, syscall.EIO
				}
			}
			return write(b, off)
		}
	})
	if _, err := c.Enlist(enlistment(machines(9000))); !errors.Is(err, journal.ErrStopped) || !errors.Is(err, syscall.EIO) {
		t.Errorf("enlist on a failing disk: %v", err)
	}
	must(t, j.Close())

	j = mustOpen(t, path, journal.Options{})
	c, err = j.Campaign("spring")
	must(t, err)
	if _, err := c.Begin(id(0), 1); !errors.Is(err, journal.ErrNotEnlisted) || c.Info().Enlisted {
		t.Errorf("begin after half a list: %v", err)
	}
	again, err := c.Enlist(enlistment(machines(9000)))
	must(t, err)
	if again.Added == 0 || again.Unchanged < 2000 || again.Added+again.Unchanged != 9000 {
		t.Errorf("the list taken again: %+v", again)
	}
	begin(t, c, id(0))
}
