package input_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"offboard/input"
)

// TestMachines holds packed machines against a slice of them, whatever is in them.
func TestMachines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var packed input.Machines
		var plain []input.Machine
		text := rapid.OneOf(rapid.String(), rapid.Just(strings.Repeat("long", 2000)))
		id := rapid.OneOf(rapid.StringMatching(`[0-9a-f]{40}`), rapid.StringMatching(`[0-9a-fA-F]{38,41}`),
			rapid.StringMatching(`0{16}[01]{24}`), rapid.Just(""), rapid.String())
		for range rapid.IntRange(0, 20).Draw(t, "machines") {
			m := input.Machine{
				ID: id.Draw(t, "id"), Name: text.Draw(t, "name"), AADDeviceID: text.Draw(t, "device"), Comment: text.Draw(t, "comment"),
				Line: rapid.IntRange(0, 1<<40).Draw(t, "line"),
			}
			if carried := rapid.SliceOfN(text, 0, 4).Draw(t, "carried"); len(carried) > 0 {
				m.Carried = carried
			}
			packed.Add(m)
			plain = append(plain, m)
		}
		compareMachines(t, packed, plain)
		odd := func(m input.Machine) bool { return m.Line%2 > 0 }
		even := packed.Select(func(m input.Machine) bool { return !odd(m) })
		compareMachines(t, even, slices.DeleteFunc(slices.Clone(plain), odd))
		more := []input.Machine{{ID: "more", Line: 1}, {ID: "and more"}}
		compareMachines(t, packed.With(more...), slices.Concat(plain, more))
		compareMachines(t, packed, plain)
		checkOrder(t, packed)
	})
}

func compareMachines(t *rapid.T, packed input.Machines, want []input.Machine) {
	t.Helper()
	same := func(a, b input.Machine) bool {
		return a.ID == b.ID && a.Name == b.Name && a.AADDeviceID == b.AADDeviceID && a.Comment == b.Comment &&
			slices.Equal(a.Carried, b.Carried) && (a.Carried == nil) == (b.Carried == nil) && a.Line == b.Line
	}
	got := slices.Collect(packed.All())
	if packed.Len() != len(want) || !slices.EqualFunc(got, want, same) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

// checkOrder: machines with ids come in their order, with their places, and so does
// what is none, wherever it comes.
func checkOrder(t *rapid.T, packed input.Machines) {
	t.Helper()
	seen := map[int]bool{}
	var ids []string
	for i, m := range packed.ByID() {
		if seen[i] || m.ID != packed.At(i).ID {
			t.Fatalf("%+v is not at %d, or came before", m, i)
		}
		seen[i] = true
		if len(m.ID) == 40 && strings.Trim(m.ID, "0123456789abcdef") == "" {
			ids = append(ids, m.ID)
		}
	}
	if len(seen) != packed.Len() || !slices.IsSorted(ids) {
		t.Fatalf("%d of %d machines; %q", len(seen), packed.Len(), ids)
	}
}

// TestIDs holds a set of ids against a map.
func TestIDs(t *testing.T) {
	t.Parallel()
	id := rapid.OneOf(rapid.StringMatching(`0{39}[0-9a-f]`), rapid.StringMatching(`0{39}[A-F]`), rapid.StringMatching(`0{38,41}`), rapid.Just(""))
	rapid.Check(t, func(t *rapid.T) {
		var set input.IDs
		want := map[string]bool{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			s := id.Draw(t, "id")
			if set.Has(s) != want[s] {
				t.Fatalf("%q: %v", s, set.Has(s))
			}
			if rapid.Bool().Draw(t, "add") {
				set.Add(s)
				want[s] = true
			}
		}
	})
}
