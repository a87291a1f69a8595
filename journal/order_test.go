package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestInOrder: a list comes in the order of its ids, the first of each, and with the
// places that it had, whether it was in this order already or not.
func TestInOrder(t *testing.T) {
	t.Parallel()
	machine := rapid.Custom(func(t *rapid.T) Machine {
		return Machine{
			ID:  fmt.Sprintf("%040x", rapid.IntRange(0, 9).Draw(t, "id")),
			Row: rapid.IntRange(0, 3).Draw(t, "row"), Name: rapid.StringN(0, 2, -1).Draw(t, "name"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(machine).Draw(t, "list")
		if rapid.Bool().Draw(t, "sorted") {
			slices.SortFunc(list, func(a, b Machine) int { return strings.Compare(a.ID, b.ID) })
		}
		if rapid.Bool().Draw(t, "distinct") {
			list = slices.CompactFunc(list, func(a, b Machine) bool { return a.ID == b.ID })
		}
		want := map[string]enlistee{}
		for i, m := range list {
			id, err := parseID(m.ID)
			if err != nil {
				t.Fatal(err)
			}
			row := m.Row
			if row == 0 {
				row = i + 1
			}
			if _, twice := want[m.ID]; !twice {
				want[m.ID] = enlistee{id, uint32(row), m}
			}
		}
		got, err := inOrder(Enlistment{Machines: slices.Values(list)})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // as often as it is asked for
			var ids []string
			for e := range got {
				ids = append(ids, e.ID)
				if w := want[e.ID]; e.id != w.id || e.row != w.row || e.Name != w.Name {
					t.Fatalf("got %+v, want %+v", e, w)
				}
			}
			if len(ids) != len(want) || !slices.IsSorted(ids) {
				t.Fatalf("%q of %d", ids, len(want))
			}
		}
	})
	wrong := []Machine{{ID: strings.Repeat("0", 40)}, {ID: "laptop"}}
	var e *Error
	if _, err := inOrder(Enlistment{Machines: slices.Values(wrong)}); !errors.Is(err, ErrMachineID) || !errors.As(err, &e) || e.Machine != "laptop" {
		t.Errorf("got %v", err)
	}
}
