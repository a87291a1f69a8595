package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
)

var countsTenant = Tenant{ID: "11111111-2222-3333-4444-555555555555", Cloud: "public"}

func idOf(i int) string { return fmt.Sprintf("%040x", i) }

func step(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func startWith(t *testing.T, j *Journal, name string, ids ...int) *Campaign {
	t.Helper()
	c, err := j.StartCampaign(Info{Name: name, Comment: "why"})
	step(t, err)
	_, err = c.Enlist(Enlistment{Machines: func(yield func(Machine) bool) {
		for _, i := range ids {
			if !yield(Machine{ID: idOf(i)}) {
				return
			}
		}
	}})
	step(t, err)
	return c
}

// twoCampaigns have machine 2 in common: one has sent it, which the other sees.
func twoCampaigns(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "j")
	j, err := Open(path, countsTenant, Options{})
	step(t, err)
	one := startWith(t, j, "one", 1, 2, 3)
	startWith(t, j, "two", 2, 4)
	_, err = one.Begin(idOf(2), 1)
	step(t, err, one.Accept(idOf(2), Action{ID: "a", Status: "Pending"}, Ours))
	_, err = one.Begin(idOf(3), 2)
	step(t, err, j.Close())
	return path
}

// countsBy returns the counts of both campaigns as Counts has them.
func countsBy(t *testing.T, path string) (all []Counts) {
	t.Helper()
	j, err := Open(path, Tenant{}, Options{ReadOnly: true})
	step(t, err)
	defer j.Close()
	for _, name := range []string{"one", "two"} {
		c, err := j.Campaign(name)
		step(t, err)
		counts, err := c.Counts()
		step(t, err)
		all = append(all, counts)
	}
	return all
}

func tamper(t *testing.T, path string, fn func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	step(t, err, db.Update(fn), db.Close())
}

func TestCountsAreWhatTheRecordsSay(t *testing.T) {
	t.Parallel()
	path := twoCampaigns(t)
	kept := countsBy(t, path)
	if two := kept[1]; two.Of(Accepted) != 1 || two.Of(Planned) != 1 || two.SettledElsewhere() != 1 {
		t.Errorf("two counts %v, settled elsewhere %d", two.byState, two.SettledElsewhere())
	}
	compacted, salvaged := path+".compacted", path+".salvaged"
	j, err := Open(path, Tenant{}, Options{ReadOnly: true})
	step(t, err, j.Compact(compacted), j.Close())
	if got := countsBy(t, compacted); !slices.Equal(got, kept) {
		t.Errorf("compacted: %v, before %v", got, kept)
	}
	_, err = Salvage(t.Context(), path, salvaged, Tenant{}, Options{})
	step(t, err)
	kept[0].byState[Sending]-- // nobody is sending any more
	kept[0].byState[InDoubt]++
	if got := countsBy(t, salvaged); !slices.Equal(got, kept) {
		t.Errorf("salvaged: %v, want %v", got, kept)
	}
}

func TestCountsOfAJournalWithoutThem(t *testing.T) {
	t.Parallel()
	path := twoCampaigns(t)
	kept := countsBy(t, path)
	tamper(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(countBucket) })
	if got := countsBy(t, path); !slices.Equal(got, kept) {
		t.Errorf("counted %v, kept %v", got, kept)
	}
	j, err := Open(path, countsTenant, Options{})
	step(t, err)
	found, err := j.Recover()
	if err != nil || len(found) != 1 {
		t.Errorf("recovered %v: %v", found, err)
	}
	_, err = j.Check(t.Context())
	step(t, err, j.Close())
}

func TestCheckFindsWrongCounts(t *testing.T) {
	t.Parallel()
	key := countKey(1)
	wrong := map[string]func(bucket *bolt.Bucket) error{
		"one more": func(bucket *bolt.Bucket) error {
			c, err := readCounts(bucket, 1)
			c.byState[Planned]++
			value, bad := c.encode(key)
			return errors.Join(err, bad, bucket.Put(key, value))
		},
		"none":     func(bucket *bolt.Bucket) error { return bucket.Delete(key) },
		"checksum": func(bucket *bolt.Bucket) error { return bucket.Put(key, make([]byte, 48)) },
		"length":   func(bucket *bolt.Bucket) error { return bucket.Put(key, seal(key, nil)) },
	}
	for name, change := range wrong {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := twoCampaigns(t)
			tamper(t, path, func(tx *bolt.Tx) error { return change(tx.Bucket(countBucket)) })
			j, err := Open(path, Tenant{}, Options{ReadOnly: true})
			step(t, err)
			defer j.Close()
			if report, err := j.Check(t.Context()); !errors.Is(err, ErrDamaged) || report.Total == 0 {
				t.Errorf("check: %v, %q", err, report.Problems)
			}
		})
	}
}
