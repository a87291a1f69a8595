package defender

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "defender", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestMachineActionAsCaptured(t *testing.T) {
	t.Parallel()
	data := sample(t, "action.json")
	var got MachineAction
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(got.Raw, &raw); err != nil || raw["requestSource"] != "PublicApi" {
		t.Errorf("Raw = %s (%v)", got.Raw, err)
	}
	got.Raw = nil
	want := MachineAction{
		ID: "5382f7ea-7557-4ab7-9782-d50480024a4e", Type: TypeOffboard, Status: StatusPending,
		MachineID: "1e5bc9d7e413ddd7902c2932e418702b84d0cc07", ComputerDNSName: "host1.contoso.com",
		Requestor: "fleet retirement", RequestorComment: "[offboard summer/1] lease ended", RequestSource: "PublicApi",
		Created:     time.Date(2026, 1, 1, 0, 0, 0, 123456700, time.UTC),
		LastUpdated: time.Date(2026, 1, 1, 0, 0, 0, 123457800, time.UTC),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMachineAsCaptured(t *testing.T) {
	t.Parallel()
	var got Machine
	if err := json.Unmarshal(sample(t, "machine.json"), &got); err != nil {
		t.Fatal(err)
	}
	want := Machine{
		ID: "1e5bc9d7e413ddd7902c2932e418702b84d0cc07", ComputerDNSName: "host1.contoso.com",
		AADDeviceID: "80fe8ff8-2624-418e-9591-41f0491218f9", OnboardingStatus: Onboarded, HealthStatus: "Active",
		OSPlatform: "Windows11", Version: "24H2", AgentVersion: "10.8760.26100.1", DeviceValue: "Normal", ManagedBy: "Intune",
		RBACGroupID: "140", RBACGroupName: "retiring", MachineTags: []string{"site-a", "retire"},
		LastSeen:   time.Date(2026, 1, 2, 3, 4, 5, 123456700, time.UTC),
		IsExcluded: true, ExclusionReason: "Retired",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Whatever the service may do to a field nobody needs, an accepted action must
// not become unreadable by it.
func TestWrongTypesAreLeftOut(t *testing.T) {
	t.Parallel()
	var a MachineAction
	err := json.Unmarshal([]byte(`{"ID":"8","type":"Offboard","status":null,"machineId":"ABC","title":{"x":1},
		"creationDateTimeUtc":17,"lastUpdateDateTimeUtc":"soon","cancellationDateTimeUtc":"2026-01-01T00:00:00",
		"errorHResult":"0","scope":["Full"],"computerDnsName":true}`), &a)
	if err != nil {
		t.Fatal(err)
	}
	a.Raw = nil
	want := MachineAction{
		ID: "8", Type: "Offboard", MachineID: "abc", ComputerDNSName: "true",
		Cancelled: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
	var m Machine
	err = json.Unmarshal([]byte(`{"id":"8","rbacGroupId":"140","machineTags":"one","isExcluded":"TRUE","lastSeen":[],"isPotentialDuplication":1}`), &m)
	if err != nil {
		t.Fatal(err)
	}
	if m.RBACGroupID != "140" || !reflect.DeepEqual(m.MachineTags, []string{"one"}) || !m.IsExcluded || !m.IsPotentialDuplication {
		t.Errorf("machine is %+v", m)
	}
}

func TestNotAnObject(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`null`, `[]`, `"x"`, `7`} {
		if err := new(MachineAction).UnmarshalJSON([]byte(data)); err == nil {
			t.Errorf("%s passes for an action", data)
		}
		if err := new(Machine).UnmarshalJSON([]byte(data)); err == nil {
			t.Errorf("%s passes for a machine", data)
		}
	}
}

func TestFinal(t *testing.T) {
	t.Parallel()
	final := map[string]bool{
		StatusPending: false, StatusInProgress: false, StatusSucceeded: true, StatusFailed: true, StatusTimeOut: true,
		StatusCancelled: true, "Canceled": true, "": false, "Postponed": false,
	}
	for status, want := range final {
		if got := (MachineAction{Status: status}).Final(); got != want {
			t.Errorf("%q: final is %v", status, got)
		}
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{"value":[]}`:                      0,
		`{"@odata.count":2,"value":[{},1]}`: 2,
		`{"Value": [ {} ]}`:                 1,
		`{}`:                                -1,
		`{"value":null}`:                    -1,
		`{"value":{}}`:                      -1,
		`{"value":[]`:                       -1,
		`{"value":[]} {}`:                   -1,
		`[]`:                                -1,
		``:                                  -1,
	} {
		items, err := rows([]byte(body))
		if got := len(items); err == nil && got != want || (err != nil) != (want < 0) {
			t.Errorf("%s: %d rows, %v; want %d", body, got, err, want)
		}
	}
}
