package runner

import (
	"cmp"
	"slices"
	"time"

	"offboard/defender"
)

// Surveyed is a machine as a survey counts it.
type Surveyed struct {
	Facts *Facts // nil: not seen in the inventory
	Owner string // by the list, "" without
}

// Survey counts what a change board asks of the machines that would be sent.
type Survey struct {
	Machines     int     `json:"machines"`
	NotSeen      int     `json:"not_seen"`   // the inventory does not show them
	SeenAwake    int     `json:"seen_48h"`   // they act within minutes
	Servers      int     `json:"servers"`    // by platform
	HighValue    int     `json:"high_value"` // marked so in Defender
	NotWindows   int     `json:"not_windows"`
	NotOnboarded int     `json:"not_onboarded"` // the inventory shows no sensor to stop
	Managed      int     `json:"managed"`       // a management policy may onboard them again
	Duplicates   int     `json:"duplicates"`
	ByOS         []Share `json:"by_os"`
	ByGroup      []Share `json:"by_group"`
	ByOwner      []Share `json:"by_owner"`
	ByManager    []Share `json:"by_manager"`
}

// Share is how many machines have something in common.
type Share struct {
	Name     string `json:"name"` // "" for those of which it is not known
	Machines int    `json:"machines"`
}

// SurveyOf counts machines, the largest shares first.
func SurveyOf(all []Surveyed, now time.Time) Survey {
	s := Survey{Machines: len(all)}
	os, group, owner, manager := tally{}, tally{}, tally{}, tally{}
	for _, m := range all {
		owner[m.Owner]++
		if m.Facts == nil {
			s.NotSeen++
			os[""]++
			group[""]++
			continue
		}
		os[m.Facts.OSPlatform]++
		group[m.Facts.Group]++
		s.count(*m.Facts, now)
		if m.Facts.Managed() {
			manager[m.Facts.ManagedBy]++
		}
	}
	s.ByOS, s.ByGroup, s.ByOwner, s.ByManager = os.shares(), group.shares(), owner.shares(), manager.shares()
	return s
}

func (s *Survey) count(f Facts, now time.Time) {
	for _, c := range []struct {
		is bool
		n  *int
	}{
		{f.Awake(now), &s.SeenAwake}, {f.Server(), &s.Servers}, {f.HighValue(), &s.HighValue},
		{!f.Windows(), &s.NotWindows}, {f.Onboarding != defender.Onboarded, &s.NotOnboarded}, {f.Managed(), &s.Managed}, {f.Duplicate(), &s.Duplicates},
	} {
		if c.is {
			*c.n++
		}
	}
}

// SharesOf counts names, the most frequent first.
func SharesOf(names []string) []Share {
	t := tally{}
	for _, name := range names {
		t[name]++
	}
	return t.shares()
}

type tally map[string]int

func (t tally) shares() []Share {
	all := make([]Share, 0, len(t))
	for name, n := range t {
		all = append(all, Share{name, n})
	}
	slices.SortFunc(all, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Machines, a.Machines), cmp.Compare(a.Name, b.Name))
	})
	return all
}
