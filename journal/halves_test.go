package journal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"offboard/journal"
)

// padded makes ids of what they begin with.
func padded(with string, first ...string) (ids []string) {
	for _, digits := range first {
		ids = append(ids, digits+strings.Repeat(with, 40-len(digits)))
	}
	return ids
}

// TestStandingInStates: a reading of some states finds what one of all does, in the
// order of the ids, wherever these lie, and ends when its reader has had enough.
func TestStandingInStates(t *testing.T) {
	t.Parallel()
	for name, ids := range map[string][]string{
		"nothing":          nil,
		"below":            padded("0", "01", "10", "7fffffff"),
		"above":            padded("0", "8", "81", "ff"),
		"the first of all": padded("0", "0"),
		"both":             padded("0", "0", "01", "7f", "7fff", "8", "8000001", "9", "ffff"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := standingCampaign(t, mustOpen(t, journalPath(t), journal.Options{}), ids)
			want := map[journal.State][]string{}
			for s, err := range c.Standing() {
				must(t, err)
				want[s.State] = append(want[s.State], s.MachineID)
			}
			for _, state := range []journal.State{journal.Planned, journal.Sending, journal.Rejected} {
				var got []string
				for s, err := range c.Standing(state) {
					must(t, err)
					got = append(got, s.MachineID)
				}
				if !slices.Equal(got, want[state]) {
					t.Errorf("%s: %q, want %q", state, got, want[state])
				}
			}
			for s, err := range c.Standing(journal.Sending, journal.Planned) {
				must(t, err)
				if s.MachineID != slices.Min(ids) {
					t.Errorf("the first is %s", s.MachineID)
				}
				break
			}
		})
	}
}

// standingCampaign has every other machine sending.
func standingCampaign(t *testing.T, j *journal.Journal, ids []string) *journal.Campaign {
	t.Helper()
	var list []journal.Machine
	for _, id := range ids {
		list = append(list, journal.Machine{ID: id})
	}
	c := started(t, j, "spring", list)
	for i := range ids {
		if i%2 > 0 {
			begin(t, c, ids[i])
		}
	}
	return c
}

// TestStandingDamaged: whatever becomes of the key of a record, wherever it lies, the
// reading says so and never merely passes over a machine.
func TestStandingDamaged(t *testing.T) {
	t.Parallel()
	ids := padded("c", "01", "7e", "7f", "8", "81", "ff")
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	standingCampaign(t, j, ids)
	must(t, j.Close())
	sound, err := os.ReadFile(path)
	must(t, err)
	for n, id := range ids {
		for _, first := range []byte{0x00, 0x7d, 0x7f, 0x80, 0x90, 0xff} {
			damaged := changeKeys(t, sound, id, first)
			if damaged == nil {
				continue // it begins so
			}
			must(t, os.WriteFile(path, damaged, 0o600))
			found := map[string]bool{}
			err := standing(path, found)
			if !errors.Is(err, journal.ErrDamaged) && len(found) < len(ids) {
				t.Errorf("machine %d with %x: %v, and only %q", n, first, err, slices.Collect(maps.Keys(found)))
			}
		}
	}
}

// changeKeys changes the first byte of an id wherever it is in a file.
func changeKeys(t *testing.T, file []byte, id string, first byte) []byte {
	t.Helper()
	old, err := hex.DecodeString(id)
	must(t, err)
	changed := bytes.Clone(old)
	if changed[0] = first; bytes.Equal(changed, old) {
		return nil
	}
	if !bytes.Contains(file, old) {
		t.Fatalf("%s is not in the file", id)
	}
	return bytes.ReplaceAll(file, old, changed)
}

func standing(path string, found map[string]bool) error {
	j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	c, err := j.Campaign("spring")
	if err != nil {
		return err
	}
	for s, err := range c.Standing(journal.States()...) {
		if err != nil {
			return err
		}
		found[s.MachineID] = true
	}
	return nil
}
