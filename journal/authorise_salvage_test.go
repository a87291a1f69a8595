package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"offboard/journal"
)

// renewed returns the path of a closed journal of two campaigns in which machines were
// authorised to be sent again, and were.
func renewed(tb testing.TB) string {
	tb.Helper()
	now := newClock()
	path := journalPath(tb)
	j, err := journal.Open(path, contoso, journal.Options{Now: now.Now, Operator: "anna@host"})
	must(tb, err)
	spring := started(tb, j, "spring", machines(6))
	summer := started(tb, j, "summer", machines(6))
	do := func(c *journal.Campaign, n int, ops ...string) {
		for _, op := range ops {
			now.advance(time.Second)
			must(tb, operate(c, id(n), op))
		}
	}
	do(spring, 0, "begin", "accept", "failed", "authorise", "begin", "accept")
	do(spring, 1, "begin", "reject", "authorise", "begin", "doubt")
	do(spring, 2, "begin", "accept", "succeeded", "authorise again")
	do(spring, 3, "begin", "accept", "succeeded")
	do(summer, 3, "authorise again", "begin", "accept")
	do(spring, 4, "begin", "accept", "succeeded")
	do(summer, 4, "authorise again")
	must(tb, j.Close())
	return path
}

func exported(tb testing.TB, j *journal.Journal) []byte {
	tb.Helper()
	var b bytes.Buffer
	must(tb, j.Export(&b))
	return b.Bytes()
}

// TestExportOfAuthorisations: who said it, why and for which campaign is in the log, and
// the records' lines follow from it.
func TestExportOfAuthorisations(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, renewed(t), journal.Options{})
	var words, superseded int
	for line := range bytes.Lines(exported(t, j)) {
		var l struct {
			Kind, Event, Operator, Reason, By, Campaign, State, Word string
			Authorised                                               int
			SupersededBy                                             string `json:"superseded_by"`
		}
		must(t, json.Unmarshal(line, &l))
		switch {
		case l.Event == "authorised" && l.Operator == "anna@host" && l.Reason == "onboarded again" && l.Authorised == 1:
			words++
		case l.Event == "superseded" && l.By == "summer" && l.Campaign == "spring" && l.Operator == "anna@host":
			superseded++
		case l.Kind == "machine" && l.SupersededBy == "summer" && (l.State != "succeeded" || l.Campaign != "spring"):
			t.Errorf("superseded: %s", line)
		case l.Kind == "machine" && l.Authorised > 0 && l.Word != "onboarded again":
			t.Errorf("without the word: %s", line)
		}
	}
	if words != 5 || superseded != 2 {
		t.Errorf("%d authorised, %d superseded", words, superseded)
	}
}

// TestSalvageOfAuthorisations: a whole log tells of them to the byte. Without it, nothing
// that a person had sent again is taken for what it was before.
func TestSalvageOfAuthorisations(t *testing.T) {
	t.Parallel()
	path := renewed(t)
	fresh := filepath.Join(t.TempDir(), "fresh.journal")
	done, err := journal.Salvage(t.Context(), path, fresh, journal.Tenant{}, journal.Options{})
	must(t, err)
	before := mustOpen(t, path, journal.Options{})
	after := mustOpen(t, fresh, journal.Options{})
	if !done.Complete || !bytes.Equal(exported(t, before), exported(t, after)) {
		t.Errorf("%+v\n%s\n%s", done, exported(t, before), exported(t, after))
	}
	copied := filepath.Join(t.TempDir(), "copy.journal")
	must(t, before.Compact(copied))
	if !bytes.Equal(exported(t, before), exported(t, mustOpen(t, copied, journal.Options{}))) {
		t.Error("a compacted copy differs")
	}
}

func TestSalvageOfAuthorisationsWithoutTheNewestMeta(t *testing.T) {
	t.Parallel()
	path := renewed(t)
	image, err := os.ReadFile(path)
	must(t, err)
	for page := range 2 {
		damaged := bytes.Clone(image)
		clear(damaged[page*os.Getpagesize():][:sector])
		must(t, os.WriteFile(path, damaged, 0o600))
		fresh := filepath.Join(t.TempDir(), "fresh.journal")
		done, err := journal.Salvage(t.Context(), path, fresh, contoso, journal.Options{})
		must(t, err)
		j := mustOpen(t, fresh, journal.Options{})
		spring, err := j.Campaign("spring")
		must(t, err)
		summer, err := j.Campaign("summer")
		must(t, err)
		for n, want := range []journal.State{journal.Accepted, journal.InDoubt, journal.InDoubt, journal.Succeeded, journal.Succeeded} {
			if e := entry(t, spring, id(n)); e.State != want {
				t.Errorf("spring: machine %d is %s, want %s", n, e.State, want)
			}
		}
		for n, want := range map[int]journal.State{3: journal.Accepted, 4: journal.InDoubt} {
			if e := entry(t, summer, id(n)); e.State != want || e.SettledBy != "" {
				t.Errorf("summer: machine %d is %s by %q, want %s", n, e.State, e.SettledBy, want)
			}
		}
		if done.Complete {
			t.Errorf("without meta page %d: %+v", page, done)
		}
	}
}

// TestCheckFindsAForgedPass: a success that was made to let another campaign send the
// machine is found.
func TestCheckFindsAForgedPass(t *testing.T) {
	t.Parallel()
	path := renewed(t)
	tampered(t, path, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("machines"))
		c := b.Cursor()
		for key, value := c.First(); key != nil; key, value = c.Next() {
			if value[0] == 2 && value[1] == byte(journal.Succeeded) && value[30] == 2 {
				return resealKey(b, bytes.Clone(key), func(body []byte) { body[30] = 1 })
			}
		}
		return errors.New("no superseded record")
	})
	j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
	must(t, err)
	defer j.Close()
	if _, err := j.Check(t.Context()); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("check: %v", err)
	}
}
