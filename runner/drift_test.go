package runner

import (
	"testing"
	"time"

	"offboard/defender"
	"offboard/journal"
)

func TestDriftFrom(t *testing.T) {
	t.Parallel()
	record := defender.Machine{ID: "a", OnboardingStatus: defender.Onboarded}
	known := FactsOf(record)
	for name, c := range map[string]struct {
		known *Facts
		found Found
		want  string
	}{
		"nothing":             {&known, Found{Record: &record}, ""},
		"not seen, as before": {nil, Found{}, ""},
		"seen now":            {nil, Found{Record: &record}, ""},
		"gone":                {&known, Found{}, "gone: not seen in the inventory"},
		"rule":                {&known, Found{Record: &record, Rule: "tagged"}, "tagged"},
		"journal":             {&known, Found{Record: &record, Live: &journal.Live{Campaign: "c", State: journal.Accepted}}, "accepted meanwhile, by campaign c"},
		"action":              {&known, Found{Record: &record, Action: &defender.MachineAction{Status: "Pending"}}, "offboarded meanwhile: the tenant has an action for it (Pending)"},
		"sensor":              {&known, Found{Record: &defender.Machine{OnboardingStatus: defender.CanBeOnboarded}}, "no longer onboarded: CanBeOnboarded"},
		"sensor, included":    {&known, Found{Record: &defender.Machine{OnboardingStatus: defender.CanBeOnboarded}, IncludeNotOnboarded: true}, ""},
		"merged":              {&known, Found{Record: &defender.Machine{OnboardingStatus: defender.Onboarded, MergedIntoMachineID: "b"}}, "merged meanwhile into b"},
	} {
		if got := DriftFrom(c.known, c.found); got != c.want {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	machine := func(os, value, manager string, age time.Duration) *Facts {
		return &Facts{OSPlatform: os, Value: value, ManagedBy: manager, LastSeen: now.Add(-age)}
	}
	s := SurveyOf([]Surveyed{
		{machine("Windows11", "Normal", "Unknown", time.Hour), "ann"},
		{machine("Windows11", "High", "Intune", 50*time.Hour), "bob"},
		{machine("WindowsServer2022", "", "", 47*time.Hour), "bob"},
		{machine("Linux", "", "", 90*24*time.Hour), "bob"},
		{nil, "ann"},
	}, now)
	if s.Machines != 5 || s.NotSeen != 1 || s.SeenAwake != 2 || s.Servers != 1 || s.HighValue != 1 || s.NotWindows != 1 || s.Managed != 1 {
		t.Errorf("counts: %+v", s)
	}
	if s.ByOS[0] != (Share{"Windows11", 2}) || s.ByOwner[0] != (Share{"bob", 3}) || s.ByManager[0] != (Share{"Intune", 1}) {
		t.Errorf("shares: %+v", s)
	}
}
