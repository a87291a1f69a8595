package journal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"offboard/journal"
)

// TestSalvageOfASoundJournal: nothing gets lost on the way, to the byte.
func TestSalvageOfASoundJournal(t *testing.T) {
	t.Parallel()
	path := eventful(t)
	fresh := filepath.Join(t.TempDir(), "fresh.journal")
	done, err := journal.Salvage(t.Context(), path, fresh, journal.Tenant{}, journal.Options{})
	must(t, err)
	if !done.Complete || done.Rebuilt+done.Missing+done.Beyond+done.Unreadable > 0 || done.Machines != 16 || done.Doubted != 2 {
		t.Errorf("a sound journal: %+v", done)
	}
	j := mustOpen(t, fresh, journal.Options{})
	compareExport(t, j, "export.jsonl")
	if chainOf(t, j) != done.Chain {
		t.Errorf("the chain is %s, was %s", chainOf(t, j), done.Chain)
	}
	c, err := j.Campaign("summer")
	must(t, err)
	begin(t, c, id(9))
}

// TestSalvageWithoutTheNewestMeta: the file that is left is sound and older. Only
// what is settled can be believed; and a machine that was left out stays so.
func TestSalvageWithoutTheNewestMeta(t *testing.T) {
	t.Parallel()
	path, want := salvageSample(t)
	image, err := os.ReadFile(path)
	must(t, err)
	for page := range 2 {
		damaged := bytes.Clone(image)
		clear(damaged[page*os.Getpagesize():][:sector])
		must(t, os.WriteFile(path, damaged, 0o600))
		fresh := filepath.Join(t.TempDir(), "fresh.journal")
		done, err := journal.Salvage(t.Context(), path, fresh, contoso, journal.Options{})
		must(t, err)
		if done.Complete || done.Missing > 0 {
			t.Errorf("without meta page %d: %+v", page, done)
		}
		j := mustOpen(t, fresh, journal.Options{})
		for key, state := range want {
			c, err := j.Campaign(key.campaign)
			must(t, err)
			if got := entry(t, c, id(key.machine)).State; got != state && got != journal.InDoubt || got == journal.Planned {
				t.Errorf("machine %d was %s and is %s", key.machine, state, got)
			}
			if !c.Info().TenantRead.IsZero() {
				t.Error("the tenant counts as read")
			}
		}
		spring, err := j.Campaign("spring")
		must(t, err)
		must(t, spring.Release(id(excludedMachine), journal.Failure{Reason: journal.ReasonAbsent}))
		if e := entry(t, spring, id(excludedMachine)); e.State != journal.Excluded || e.Reason != "not onboarded" {
			t.Errorf("a machine that was left out is %s, %q", e.State, e.Reason)
		}
		must(t, spring.Release(id(plannedMachine), journal.Failure{Reason: journal.ReasonAbsent}))
		if a := begin(t, spring, id(plannedMachine)); a.Number != 2 {
			t.Errorf("the next attempt is %d and could be taken for the one that may be lost", a.Number)
		}
	}
}

func TestSalvageRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, _ := salvageSample(t)
	fresh := filepath.Join(dir, "fresh.journal")
	write := func(name, content string) string {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		return filepath.Join(dir, name)
	}
	other := contoso
	other.ID = "66666666-2222-3333-4444-555555555555"
	for name, c := range map[string]struct {
		damaged, fresh string
		tenant         journal.Tenant
		want           error
	}{
		"something else": {write("text", "something else"), fresh, contoso, journal.ErrDamaged},
		"nothing":        {write("empty", ""), fresh, contoso, journal.ErrDamaged},
		"a directory":    {dir, fresh, contoso, journal.ErrNotAJournal},
		"no file":        {filepath.Join(dir, "none"), fresh, contoso, fs.ErrNotExist},
		"a foreign one":  {path, fresh, other, journal.ErrForeign},
		"onto a file":    {path, write("there", "x"), contoso, fs.ErrExist},
	} {
		if _, err := journal.Salvage(t.Context(), c.damaged, c.fresh, c.tenant, journal.Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	defer j.Close()
	if _, err := journal.Salvage(t.Context(), path, fresh, contoso, journal.Options{}); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("a journal in use: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*journal*"))
	if err != nil || len(left) > 0 {
		t.Errorf("refusals leave %q, %v", left, err)
	}
}

// sampleKey is a machine of a campaign.
type sampleKey struct {
	campaign string
	machine  int
}

const plannedMachine, excludedMachine = 145, 149

// salvageSample returns a closed journal with machines in all states, on many
// pages, and what each is. Beside it lies an older copy, without the last intents.
func salvageSample(tb testing.TB) (string, map[sampleKey]journal.State) {
	tb.Helper()
	now := newClock()
	path := filepath.Join(tb.TempDir(), "sample.journal")
	j, err := journal.Open(path, contoso, journal.Options{Now: now.Now})
	must(tb, err)
	list := machines(150)
	list[excludedMachine].Exclude = "not onboarded"
	spring := started(tb, j, "spring", list)
	must(tb, spring.Update(func(i *journal.Info) error { i.TenantRead = now.Now(); return nil }))
	steps := [][]string{
		{"begin", "accept", "succeeded"}, {"begin", "reject"}, {"begin", "doubt"}, {"begin", "doubt", "accept"},
		{"begin", "release"}, {"begin"}, {"adopt"}, {"begin", "accept", "cancelling", "cancel doubted"}, {"begin", "release", "begin", "accept"},
	}
	for n := range 90 {
		for _, step := range steps[n%len(steps)] {
			now.advance(time.Second)
			must(tb, operate(spring, id(n), step))
		}
	}
	now.advance(time.Second)
	summer := started(tb, j, "summer", list[60:120])
	copyFile(tb, path, path+".older")
	for n := 91; n < 105; n++ {
		now.advance(time.Second)
		must(tb, operate(summer, id(n), "begin"))
	}
	want := map[sampleKey]journal.State{}
	for _, c := range []*journal.Campaign{spring, summer} {
		for n := range list {
			if e, err := c.Entry(id(n)); err == nil {
				want[sampleKey{c.Info().Name, n}] = e.State
			}
		}
	}
	must(tb, j.Close())
	return path, want
}
