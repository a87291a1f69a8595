package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	bolt "go.etcd.io/bbolt"

	"offboard/journal"
)

// action is as large as the service's.
var action = journal.Action{ID: "5382f7ea-7557-4ab7-9782-d50480024a4e", Status: "Pending", Raw: fmt.Appendf(nil, `{"id":"5382f7ea-7557-4ab7-9782-d50480024a4e","pad":%q}`, strings.Repeat("x", 650))}

// BenchmarkSend measures an intent and its outcome, which go to the disk together
// with the next intent, as a worker writes them.
func BenchmarkSend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers, " writers"), func(b *testing.B) {
			j, err := journal.Open(journalPath(b), contoso, journal.Options{})
			must(b, err)
			defer j.Close()
			c := started(b, j, "spring", machines(b.N+2*writers+1))
			var next atomic.Int64
			b.ResetTimer()
			var group sync.WaitGroup
			for range writers {
				group.Go(func() {
					machine := id(int(next.Add(1)))
					_, err := c.Begin(machine, 1)
					for n := next.Add(1); err == nil && n <= int64(b.N); n = next.Add(1) {
						var accepted error
						_, accepted, err = c.AcceptAndBegin(machine, action, journal.Ours, id(int(n)), 1)
						err = errors.Join(err, accepted)
						machine = id(int(n))
					}
					if err != nil {
						b.Error(err)
					}
				})
			}
			group.Wait()
			b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

// BenchmarkStore is the reference of 64 writers: what bbolt by itself can do with the
// pages that they change, 32 machines a commit, without looking at anything.
func BenchmarkStore(b *testing.B) {
	const batch = 32
	db, err := bolt.Open(filepath.Join(b.TempDir(), "store"), 0o600, nil)
	must(b, err)
	defer db.Close()
	records, events := []byte("records"), []byte("events")
	planned, accepted, event := make([]byte, 100), make([]byte, 850), make([]byte, 130)
	fill := func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucket(records)
		must(b, err)
		_, err = tx.CreateBucket(events)
		for n := range b.N + 2*batch {
			err = errors.Join(err, bucket.Put([]byte(id(n)), planned))
		}
		return err
	}
	must(b, db.Update(fill))
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		must(b, db.Update(func(tx *bolt.Tx) (err error) {
			bucket, log := tx.Bucket(records), tx.Bucket(events)
			for i := n; i < n+batch; i++ { // the outcomes of these, the intents of those that follow
				err = errors.Join(err, bucket.Put([]byte(id(i)), accepted), bucket.Put([]byte(id(i+batch)), planned))
				for half := range 2 {
					err = errors.Join(err, log.Put(eventKey(uint64(2*i+half)), event))
				}
			}
			return err
		}))
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkAppend is the reference: two appends of as many bytes, each with fsync.
func BenchmarkAppend(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	must(b, err)
	defer f.Close()
	line := make([]byte, 600)
	for b.Loop() {
		for range 2 {
			_, err := f.Write(line)
			must(b, err)
			must(b, f.Sync())
		}
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkEnlist takes a list of 100,000 machines into an empty journal.
func BenchmarkEnlist(b *testing.B) {
	list := machines(100_000)
	for b.Loop() {
		j, err := journal.Open(journalPath(b), contoso, journal.Options{})
		must(b, err)
		started(b, j, "spring", list)
		must(b, j.Close())
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "machines/s")
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	j, err := journal.Open(journalPath(b), contoso, journal.Options{})
	must(b, err)
	defer j.Close()
	c := started(b, j, "spring", machines(n))
	rate := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "machines/s")
	}
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Counts(); err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
	b.Run("standing", func(b *testing.B) {
		for b.Loop() {
			for _, err := range c.Standing() {
				must(b, err)
			}
		}
		rate(b)
	})
	b.Run("entries", func(b *testing.B) {
		for b.Loop() {
			for _, err := range c.Entries() {
				must(b, err)
			}
		}
		rate(b)
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if _, err := j.Check(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
}
