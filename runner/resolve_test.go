package runner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"offboard/defender"
	"offboard/input"
	"offboard/runner"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	inventory := []defender.Machine{
		{ID: "a1", ComputerDNSName: "pc1.corp.example", AADDeviceID: "11111111-1111-1111-1111-111111111111", OnboardingStatus: "Onboarded", LastSeen: day(1)},
		{ID: "b1", ComputerDNSName: "PC2.corp.example", OnboardingStatus: "Onboarded", LastSeen: day(1)},
		{ID: "b2", ComputerDNSName: "pc2.corp.example", OnboardingStatus: "Onboarded", LastSeen: day(3)},
		{ID: "b3", ComputerDNSName: "pc2", OnboardingStatus: "Onboarded", LastSeen: day(2)},
		{ID: "c1", ComputerDNSName: "pc3", OnboardingStatus: "CanBeOnboarded", LastSeen: day(2)},
	}
	cases := []struct {
		name    string
		row     input.Machine
		mode    runner.Ambiguous
		include bool
		want    string // ids, or what became of the row
	}{
		{"full name", input.Machine{Name: "PC1.CORP.EXAMPLE"}, "", false, "a1"},
		{"short name", input.Machine{Name: "pc1"}, "", false, "a1"},
		{"device id", input.Machine{AADDeviceID: "11111111-1111-1111-1111-111111111111"}, "", false, "a1"},
		{"device id before name", input.Machine{AADDeviceID: "11111111-1111-1111-1111-111111111111", Name: "pc2"}, "", false, "a1"},
		{"nobody", input.Machine{Name: "pc"}, "", false, "unmatched"},
		{"another domain", input.Machine{Name: "pc1.other.example"}, "", false, "unmatched"},
		{"several, refused", input.Machine{Name: "pc2"}, runner.RefuseAmbiguous, false, "ambiguous b1 b2 b3"},
		{"several with the full name", input.Machine{Name: "pc2.corp.example"}, runner.RefuseAmbiguous, false, "ambiguous b1 b2"},
		{"several, newest", input.Machine{Name: "pc2"}, runner.NewestAmbiguous, false, "b2"},
		{"several, all", input.Machine{Name: "pc2"}, runner.AllAmbiguous, false, "b1 b2 b3"},
		{"not onboarded", input.Machine{Name: "pc3"}, "", false, "not onboarded c1"},
		{"not onboarded, included", input.Machine{Name: "pc3"}, "", true, "c1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := runner.NewDirectory(&tenant{t: t, machines: inventory}, newLimiter(t), time.Minute, nil)
			got, err := d.Resolve(t.Context(), []input.Machine{c.row}, c.mode, c.include)
			if err != nil {
				t.Fatal(err)
			}
			if s := describe(got); s != c.want {
				t.Errorf("%s; want %s", s, c.want)
			}
		})
	}
}

func describe(r runner.Resolved) string {
	var words []string
	for _, m := range r.Machines {
		words = append(words, m.ID)
	}
	for _, m := range r.NotOnboarded {
		words = append(words, "not onboarded "+m.ID)
	}
	for range r.Unmatched {
		words = append(words, "unmatched")
	}
	for _, a := range r.Ambiguous {
		words = append(words, "ambiguous")
		for _, m := range a.Candidates {
			words = append(words, m.ID)
			if !strings.Contains(a.String(), m.ID) {
				words = append(words, "(unnamed)")
			}
		}
	}
	return strings.Join(words, " ")
}

// TestResolveReadsEveryPage: an inventory of several pages is read with an
// overlap, and each record counts once.
func TestResolveReadsEveryPage(t *testing.T) {
	t.Parallel()
	var inventory []defender.Machine
	for i := range 25_000 {
		inventory = append(inventory, defender.Machine{ID: id(i), ComputerDNSName: fmt.Sprintf("pc%d", i), OnboardingStatus: "Onboarded"})
	}
	rows := []input.Machine{{Name: "pc0"}, {Name: "pc9900"}, {Name: "pc24999"}}
	d := runner.NewDirectory(&tenant{t: t, machines: inventory}, newLimiter(t), time.Minute, nil)
	got, err := d.Resolve(t.Context(), rows, runner.RefuseAmbiguous, false)
	if err != nil || len(got.Machines) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	found := slices.IndexFunc(got.Machines, func(m input.Machine) bool { return m.ID == id(24_999) })
	if found < 0 {
		t.Error("the last page was not read")
	}
}
