package runner_test

import (
	"testing"
	"testing/synctest"
	"time"

	"offboard/defender"
	"offboard/journal"
	"offboard/runner"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 10)
		defer b.close()
		b.accept(0, 1, 2, 3, 4, 5, 6)
		sent := time.Now()
		day := 24 * time.Hour
		<-time.After(5 * day)
		b.accept(7)
		if _, err := b.campaign.Begin(id(8), 1); err != nil {
			t.Fatal(err)
		}
		if err := b.campaign.Reject(id(8), journal.Failure{}); err != nil {
			t.Fatal(err)
		}
		b.service.machines = []defender.Machine{
			{ID: id(0), LastSeen: sent.Add(-day)},
			{ID: id(1), LastSeen: sent.Add(20 * time.Hour)}, // its last daily report
			{ID: id(2), LastSeen: sent.Add(3 * day)},
			// 3 is gone. 4 was set up anew, under the same name; so was 5, known by its Entra id.
			{ID: id(4), ComputerDNSName: "pc4.contoso.com", LastSeen: sent},
			{ID: id(40), ComputerDNSName: "PC4.contoso.com", FirstSeen: sent.Add(day)},
			{ID: id(5), ComputerDNSName: "pc5", AADDeviceID: "a5", LastSeen: sent},
			{ID: id(50), ComputerDNSName: "other", AADDeviceID: "a5", FirstSeen: sent.Add(day)},
			// 6 has an older record of the same name, which is no return.
			{ID: id(6), ComputerDNSName: "pc6", LastSeen: sent},
			{ID: id(60), ComputerDNSName: "pc6", FirstSeen: sent.Add(-400 * day)},
			{ID: id(7), LastSeen: time.Now()},
			{ID: id(8), LastSeen: time.Now()},
		}
		d := runner.NewDirectory(b.service, newLimiter(t), time.Minute, nil)
		found, err := d.Verify(t.Context(), b.campaign.Entries())
		if err != nil {
			t.Fatal(err)
		}
		want := []struct {
			finding runner.Finding
			newID   string
		}{
			{runner.Silent, ""}, {runner.Silent, ""}, {runner.Reporting, ""}, {runner.Gone, ""},
			{runner.Returned, id(40)}, {runner.Returned, id(50)}, {runner.Silent, ""}, {runner.TooEarly, ""},
		}
		if len(found) != len(want) {
			t.Fatalf("%d machines: %+v", len(found), found)
		}
		for i, w := range want {
			v := found[i]
			if v.MachineID != id(i) || v.Finding != w.finding || v.NewID != w.newID || v.Offboarded.IsZero() {
				t.Errorf("machine %d: %+v; want %+v", i, v, w)
			}
			if good := w.finding == runner.Silent || w.finding == runner.Gone; v.Good() != good {
				t.Errorf("%s is good: %t", v.Finding, v.Good())
			}
		}
	})
}
