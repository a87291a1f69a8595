package runner

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"offboard/defender"
)

func TestCampaignName(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"retired.csv":                    "retired",
		"/srv/lists/Retired Q3.csv.gz":   "Retired-Q3",
		"-":                              "stdin",
		"machines.ndjson":                "machines",
		"größe.txt":                      "gr-e",
		"…":                              "campaign",
		".csv":                           "campaign",
		strings.Repeat("a", 100) + ".gz": strings.Repeat("a", 64),
	}
	for path, want := range cases {
		got := CampaignName(path)
		if got != want {
			t.Errorf("CampaignName(%q) = %q, want %q", path, got, want)
		}
		if err := ValidateCampaignName(got); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "a b", "a]b", "a/b", strings.Repeat("a", 65), "a\n"} {
		if err := ValidateCampaignName(name); !errors.Is(err, ErrCampaignName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSight(t *testing.T) {
	t.Parallel()
	mark := Mark("c", 1)
	action := func(id, kind, comment string) defender.MachineAction {
		return defender.MachineAction{ID: id, Type: kind, RequestorComment: comment}
	}
	const offboard = defender.TypeOffboard
	cases := []struct {
		name    string
		actions []defender.MachineAction
		prior   []string
		want    sighting
	}{
		{"nothing", nil, nil, absent},
		{"ours", []defender.MachineAction{action("a", offboard, mark+" why")}, nil, present},
		{"ours without more", []defender.MachineAction{action("a", offboard, mark)}, nil, present},
		{"ours but of another kind", []defender.MachineAction{action("a", "Isolate", mark)}, nil, absent},
		{"recorded before", []defender.MachineAction{action("a", offboard, mark)}, []string{"a"}, absent},
		{"another attempt", []defender.MachineAction{action("a", offboard, Mark("c", 12))}, nil, absent},
		{"somebody else's", []defender.MachineAction{action("a", offboard, "retired")}, nil, absent},
		{"cut short", []defender.MachineAction{action("a", offboard, "[offboard c/")}, nil, unclear},
		{"comment gone", []defender.MachineAction{action("a", offboard, "")}, nil, unclear},
		{"cut short and ours", []defender.MachineAction{action("a", offboard, "[off"), action("b", offboard, mark)}, nil, present},
	}
	for _, c := range cases {
		if got, _ := sight(c.actions, mark, c.prior); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func ExampleMark() {
	fmt.Println(Mark("retired-laptops", 1), "CHG-4711")
	// Output: [offboard retired-laptops/1] CHG-4711
}

func ExampleCampaignName() {
	fmt.Println(CampaignName("lists/Retired laptops Q3.csv.gz"))
	// Output: Retired-laptops-Q3
}
