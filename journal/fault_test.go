package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"offboard/journal"
)

// TestStoppedAfterAFailedCommit lets the n-th write fail, for n = 1, 2, 3… until
// everything succeeds. No change is acknowledged that is not there afterwards,
// and none succeeds after one has failed.
func TestStoppedAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	failed := 0
	for n := int64(1); ; n++ {
		path := filepath.Join(t.TempDir(), "contoso.journal")
		acknowledged, err := workUntilWriteFails(t, path, n)
		if err == nil {
			break
		}
		failed++
		if !errors.Is(err, journal.ErrStopped) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write %d: %v, want ErrStopped that wraps the cause", n, err)
		}
		j := mustOpen(t, path, journal.Options{})
		c, err := j.Campaign("spring")
		must(t, err)
		for m := range acknowledged {
			if e := entry(t, c, id(m)); e.State == journal.Planned {
				t.Errorf("write %d: machine %d was acknowledged and is planned", n, m)
			}
		}
		must(t, j.Close())
	}
	if failed < 10 {
		t.Errorf("only %d writes failed", failed)
	}
}

func workUntilWriteFails(t *testing.T, path string, n int64) (acknowledged int, err error) {
	t.Helper()
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	defer j.Close()
	c := started(t, j, "spring", machines(10))
	var writes atomic.Int64
	journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
		return func(b []byte, off int64) (int, error) {
			if writes.Add(1) == n {
				return 0, &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
			}
			return write(b, off)
		}
	})
	for m := range 10 {
		if _, err = c.Begin(id(m), 1); err != nil {
			if again := c.Release(id(0), journal.Failure{}); !errors.Is(again, journal.ErrStopped) {
				t.Errorf("write %d: a change after the failure: %v", n, again)
			}
			if _, again := j.StartCampaign(journal.Info{Name: "summer"}); !errors.Is(again, journal.ErrStopped) {
				t.Errorf("write %d: a campaign after the failure: %v", n, again)
			}
			return acknowledged, err
		}
		acknowledged++
	}
	return acknowledged, nil
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

// diskWrite is one write of the engine, as the power-loss test keeps it.
type diskWrite struct {
	data []byte
	off  int64
	acks int // changes that were acknowledged before it
}

// isMeta: bbolt ends a commit with the write of one of the two meta pages, and
// syncs before and after it.
func (w diskWrite) isMeta() bool { return w.off < 2*int64(os.Getpagesize()) }

// TestPowerLoss makes images of the disk as power cuts could leave it: of the
// writes since the last sync each is lost, torn or on disk. Every image opens,
// passes the check and holds all that was acknowledged.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	const commits = 120
	images := 250
	if testing.Short() {
		images = 50
	}
	path := journalPath(t)
	writes, start := recordWrites(t, path, commits)
	random := rand.New(rand.NewPCG(3, 4))
	var group sync.WaitGroup
	for image := range images {
		cut := random.IntN(len(writes) + 1)
		disk, acks := loseSome(random, start, writes, cut)
		name := filepath.Join(t.TempDir(), fmt.Sprint(image))
		group.Go(func() {
			defer os.Remove(name)
			must(t, os.WriteFile(name, disk, 0o600))
			mustCheck(t, name)
			if err := comparePowerLoss(name, acks); err != nil {
				t.Error(err)
			}
			// The negative control: at most one change more can be on disk than
			// was acknowledged, so that two more must be missed.
			if err := comparePowerLoss(name, acks+2); err == nil && acks+2 <= commits {
				t.Errorf("image %d: nobody misses what was never written", image)
			}
		})
		if image%8 == 7 {
			group.Wait()
		}
	}
	group.Wait()
}

// recordWrites returns the file as it was and every write that followed.
func recordWrites(t *testing.T, path string, commits int) (writes []diskWrite, start []byte) {
	t.Helper()
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	defer j.Close()
	c := started(t, j, "spring", machines(commits/2))
	start, err = os.ReadFile(path)
	must(t, err)
	acks := 0
	journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
		return func(b []byte, off int64) (int, error) {
			writes = append(writes, diskWrite{append([]byte(nil), b...), off, acks})
			return write(b, off)
		}
	})
	for m := range commits / 2 {
		begin(t, c, id(m))
		acks++
		must(t, c.Accept(id(m), pending("a"), journal.Ours))
		acks++
	}
	return writes, start
}

// loseSome builds the disk after a power cut before the given write.
func loseSome(random *rand.Rand, start []byte, writes []diskWrite, cut int) (disk []byte, acks int) {
	synced := 0 // writes before this one are on disk for certain
	for i := range cut {
		if writes[i].isMeta() {
			synced = i // the sync before a meta page
			if i+1 < cut {
				synced = i + 1 // the sync after it, without which nothing more is written
			}
		}
		acks = writes[i].acks
	}
	disk = append(disk, start...)
	for i, w := range writes[:cut] {
		data := w.data
		if i >= synced {
			switch random.IntN(3) {
			case 0:
				continue
			case 1:
				data = data[:random.IntN(len(data)/512+1)*512]
			}
		}
		if need := int(w.off) + len(data); need > len(disk) {
			disk = append(disk, make([]byte, need-len(disk))...)
		}
		copy(disk[w.off:], data)
	}
	// A file has its length from before the pages are written.
	if need := len(start); len(disk) < need {
		disk = append(disk, make([]byte, need-len(disk))...)
	}
	return disk, acks
}

func comparePowerLoss(path string, acks int) error {
	j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	c, err := j.Campaign("spring")
	if err != nil {
		return err
	}
	for ack := range acks {
		want := journal.Sending
		if ack%2 == 1 {
			want = journal.Accepted
		}
		if e, err := c.Entry(id(ack / 2)); err != nil || e.State < want {
			return fmt.Errorf("after %d acknowledged changes machine %d is %s, %w", acks, ack/2, e.State, err)
		}
	}
	return nil
}
