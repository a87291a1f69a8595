package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"offboard/internal/proof"
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
		{"begin", "release"}, {"begin"}, {"adopt"}, {"begin", "accept"}, {"begin", "release", "begin", "accept"},
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

// TestSalvage damages a journal in many ways, a little and a lot. Whatever is
// left, the new journal is sound, plans no machine that was sent, keeps what was
// accepted from being sent, sends nothing of a list of which it lacks machines,
// and the damaged file is as it was. A child does it, with a time limit.
//
// The negative control takes every log for complete.
func TestSalvage(t *testing.T) {
	t.Parallel()
	path, _ := salvageSample(t)
	images := proof.Cases(48, 2000)
	row := proof.Row{Promise: proof.AtMostOnce, Harness: "salvage of a damaged journal", Cases: images, Faults: images, Controls: 1}
	seen := map[string]int{}
	for first := 0; first < images; first += 48 {
		dir := t.TempDir()
		copyFile(t, path, filepath.Join(dir, "whole"))
		copyFile(t, path+".older", filepath.Join(dir, "older"))
		n := min(48, images-first)
		damageInManyWays(t, dir, n, rand.New(rand.NewPCG(7, uint64(first))))
		batch := map[string]int{}
		for count(batch) < n {
			if runReader(t, "salvager", dir, count(batch), batch) == 0 {
				batch["died"]++
			}
		}
		for word, n := range batch {
			seen[word] += n
		}
		if row.Caught == 0 && trustingFails(t, dir, n) {
			row.Caught = 1
		}
		must(t, os.RemoveAll(dir))
	}
	t.Log(seen)
	if seen["doubtful"] == 0 {
		t.Errorf("results %v", seen)
	}
	row.Violations = images - seen["complete"] - seen["doubtful"] - seen["nothing"]
	proof.Report(t, row)
}

// damageInManyWays makes images of the journal in dir.
func damageInManyWays(t *testing.T, dir string, images int, random *rand.Rand) {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(dir, "whole"))
	must(t, err)
	older, err := os.ReadFile(filepath.Join(dir, "older"))
	must(t, err)
	page := os.Getpagesize()
	for n := range images {
		image := bytes.Clone(whole)
		for range 1 + random.IntN(12) {
			at := random.IntN(len(image))
			switch n % 8 {
			case 0, 1:
				image[at] ^= 1 << random.IntN(8)
			case 2:
				clear(image[at/sector*sector:][:sector])
			case 3:
				clear(image[at/page*page:][:page])
			case 4: // much of it, so that old versions are all that is left of some
				for p := 2; p < len(image)/page; p += 1 + random.IntN(8) {
					clear(image[p*page:][:page])
				}
			case 5: // old pages, and a meta page lost
				image = bytes.Clone(older)
				clear(image[random.IntN(2)*page:][:page])
			case 6:
				for i := range image[at/page*page:][:page] {
					image[at/page*page+i] = byte(random.Uint32())
				}
			case 7:
				image = image[:max(at, 1)]
			}
		}
		if n%8 == 3 {
			image = image[:len(image)-random.IntN(len(image)/2)]
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), image, 0o600))
	}
}

// salvageAll is the child.
func salvageAll(argument string) {
	var dir string
	var first int
	_, _ = fmt.Sscan(argument, &dir, &first)
	truth, err := statesOf(filepath.Join(dir, "whole"))
	if err != nil {
		fmt.Fprintln(os.Stdout, "wrong", err)
		return
	}
	for n := first; ; n++ {
		path := filepath.Join(dir, fmt.Sprint(n))
		before, err := os.ReadFile(path)
		if err != nil {
			return
		}
		word := judgeSalvage(path, truth)
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			word = "wrong the damaged file was touched"
		}
		fmt.Fprintln(os.Stdout, word)
	}
}

func judgeSalvage(path string, truth map[sampleKey]journal.State) string {
	fresh := path + ".fresh"
	done, err := journal.Salvage(context.Background(), path, fresh, contoso, journal.Options{})
	if errors.Is(err, journal.ErrDamaged) {
		if _, err := os.Stat(fresh); err == nil {
			return "wrong an error and a journal"
		}
		return "nothing"
	}
	if err != nil {
		return "wrong " + path + ": " + err.Error()
	}
	if problem := compareSalvaged(fresh, truth); problem != "" {
		return "wrong " + path + ": " + problem
	}
	if done.Complete {
		return "complete"
	}
	return "doubtful"
}

// compareSalvaged says what a salvaged journal has wrong.
func compareSalvaged(fresh string, truth map[sampleKey]journal.State) string {
	got, err := statesOf(fresh)
	if err != nil {
		return err.Error()
	}
	j, err := journal.Open(fresh, contoso, journal.Options{ReadOnly: true})
	if err != nil {
		return err.Error()
	}
	defer j.Close()
	if _, err := j.Check(context.Background()); err != nil {
		return err.Error()
	}
	for key, was := range truth {
		is, here := got[key]
		c, err := j.Campaign(key.campaign)
		switch {
		case !here && err == nil && c.Info().Enlisted:
			return fmt.Sprintf("machine %d is missing from %s, which may send", key.machine, key.campaign)
		case !here || is == was || is == journal.InDoubt:
		case was == journal.Sending, was == journal.InDoubt, was == journal.Accepted, was == journal.Succeeded:
			if !is.Live() || is == journal.Planned {
				return fmt.Sprintf("machine %d was %s and is %s", key.machine, was, is)
			}
		case is == journal.Planned || was == journal.Planned || was == journal.Excluded:
			return fmt.Sprintf("machine %d was %s and is %s", key.machine, was, is)
		}
	}
	return ""
}

// statesOf returns what every campaign of a journal sees of its machines.
func statesOf(path string) (map[sampleKey]journal.State, error) {
	j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer j.Close()
	numbers := map[string]int{}
	for n := range 150 {
		numbers[id(n)] = n
	}
	states := map[sampleKey]journal.State{}
	all, err := j.Campaigns()
	for _, info := range all {
		c, err := j.Campaign(info.Name)
		if err != nil {
			return nil, err
		}
		for s, err := range c.Standing() {
			if err != nil {
				return nil, err
			}
			states[sampleKey{info.Name, numbers[s.MachineID]}] = s.State
		}
	}
	return states, err
}

// trustingFails says whether the harness finds fault with a salvage that takes
// every log for complete.
func trustingFails(t *testing.T, dir string, images int) bool {
	t.Helper()
	truth, err := statesOf(filepath.Join(dir, "whole"))
	must(t, err)
	for n := range images {
		path := filepath.Join(dir, fmt.Sprint(n))
		fresh := path + ".trusting"
		if journal.SalvageTrusting(path, fresh) != nil {
			continue
		}
		got, err := statesOf(fresh)
		must(t, err)
		for key, was := range maps.All(truth) {
			if is, here := got[key]; here && is == journal.Planned && was.Live() {
				t.Logf("taken for complete, machine %d that was %s is planned", key.machine, was)
				return true
			}
		}
	}
	return false
}
