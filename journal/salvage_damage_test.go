package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"offboard/internal/proof"
	"offboard/journal"
)

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
