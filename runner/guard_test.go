package runner_test

import (
	"testing"
	"time"

	"offboard/defender"
	"offboard/runner"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	laptop := &defender.Machine{
		ComputerDNSName: "pc7.contoso.com", OSPlatform: "Windows11", MachineTags: []string{"Retire", "Oslo"},
		RBACGroupName: "Laptops", LastSeen: now.Add(-100 * 24 * time.Hour),
	}
	server := &defender.Machine{ComputerDNSName: "db1.contoso.com", OSPlatform: "WindowsServer2022"}
	protect := func(names ...string) runner.Guard {
		return runner.Guard{Protected: []runner.Protection{runner.Protect("keep.csv", []string{id(7)}, names)}}
	}
	cases := []struct {
		name   string
		guard  runner.Guard
		row    runner.Row
		want   string
		needs  string
		column string // the value of every column
	}{
		{name: "no rule", row: runner.Row{Record: laptop}},
		{name: "no rule, nothing known", row: runner.Row{}},
		{name: "protected by id", guard: protect(), row: runner.Row{ID: id(7)}, want: "protected by keep.csv"},
		{name: "another id", guard: protect(), row: runner.Row{ID: id(8)}},
		{name: "protected by the list's name", guard: protect("PC7"), row: runner.Row{Name: "pc7.contoso.com", Record: server}, want: "protected by keep.csv", needs: "a name in keep.csv"},
		{name: "protected by the record's name", guard: protect("pc7.CONTOSO.com"), row: runner.Row{Record: laptop}, want: "protected by keep.csv", needs: "a name in keep.csv"},
		{name: "a bare name and a full protection", guard: protect("pc7.contoso.com"), row: runner.Row{Name: "pc7", Record: server}, want: "protected by keep.csv", needs: "a name in keep.csv"},
		{name: "the same label in another domain", guard: protect("pc7.fabrikam.com"), row: runner.Row{Record: laptop}, needs: "a name in keep.csv"},
		{name: "a name and no record", guard: protect("pc8"), row: runner.Row{Name: "pc7"}, want: "not seen in the inventory, which a name in keep.csv needs", needs: "a name in keep.csv"},
		{name: "a server by its record", row: runner.Row{Record: server}, want: "a server"},
		{name: "a server by the list", row: runner.Row{}, column: "WindowsServer2019", want: "a server"},
		{name: "the record knows better", row: runner.Row{Record: laptop}, column: "WindowsServer2019"},
		{name: "a server that is meant", guard: runner.Guard{IncludeServers: true}, row: runner.Row{Record: server}},
		{name: "where", guard: runner.Guard{Where: []runner.Condition{{Column: "Site", Values: []string{"osl", "BGO"}}}}, row: runner.Row{}, column: "OSL"},
		{name: "where not", guard: runner.Guard{Where: []runner.Condition{{Column: "Site", Values: []string{"osl"}}}}, row: runner.Row{}, column: "TRD", want: `Site is "TRD"`},
		{name: "tagged", guard: runner.Guard{RequireTags: []string{"retire", "oslo"}}, row: runner.Row{Record: laptop}, needs: "--require-tag"},
		{name: "one tag is missing", guard: runner.Guard{RequireTags: []string{"Retire", "Bergen"}}, row: runner.Row{Record: laptop}, want: `without the tag "Bergen"`, needs: "--require-tag"},
		{name: "tags are not known", guard: runner.Guard{RequireTags: []string{"Retire"}}, row: runner.Row{}, want: "not seen in the inventory, which --require-tag needs", needs: "--require-tag"},
		{name: "excluded by a tag", guard: runner.Guard{ExcludeTags: []string{"OSLO"}}, row: runner.Row{Record: laptop}, want: `tagged "OSLO"`, needs: "--exclude-tag"},
		{name: "silent for long enough", guard: runner.Guard{InactiveFor: 90 * 24 * time.Hour}, row: runner.Row{Record: laptop}, needs: "--only-inactive"},
		{name: "seen too lately", guard: runner.Guard{InactiveFor: 101 * 24 * time.Hour}, row: runner.Row{Record: laptop}, want: "last seen 2026-07-24 12:00:00", needs: "--only-inactive"},
		{name: "the OS", guard: runner.Guard{OS: []string{"Windows10", "windows11"}}, row: runner.Row{Record: laptop}, needs: "--os"},
		{name: "another OS", guard: runner.Guard{OS: []string{"Windows10"}}, row: runner.Row{Record: laptop}, want: `its OS is "Windows11"`, needs: "--os"},
		{name: "the group", guard: runner.Guard{Groups: []string{"laptops"}}, row: runner.Row{Record: laptop}, needs: "--group"},
		{name: "another group", guard: runner.Guard{Groups: []string{"Desktops"}}, row: runner.Row{Record: laptop}, want: `its group is "Laptops"`, needs: "--group"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.row.Value = func(string) string { return c.column }
			if got := c.guard.Judge(c.row, now); got != c.want {
				t.Errorf("left out because of %q; want %q", got, c.want)
			}
			if got := c.guard.NeedsInventory(); got != c.needs {
				t.Errorf("needs the inventory for %q; want %q", got, c.needs)
			}
		})
	}
}
