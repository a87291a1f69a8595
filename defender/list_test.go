package defender

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestListQueries(t *testing.T) {
	t.Parallel()
	var got string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.RequestURI
		_, _ = io.WriteString(w, `{"value":[]}`)
	})
	since := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	for want, list := range map[string]func() error{
		"GET /api/machineactions?$top=10000": func() error {
			_, err := c.Actions(t.Context(), ActionFilter{}, Page{})
			return err
		},
		"GET /api/machineactions?$top=2&$skip=9800&$filter=id%20eq%20%27" + actID + "%27%20and%20machineId%20eq%20%27" + machine +
			"%27%20and%20type%20eq%20%27Offboard%27%20and%20creationDateTimeUtc%20ge%202026-03-01T11%3A00%3A00.1234567Z": func() error {
			f := ActionFilter{ID: actID, MachineID: machine, Type: TypeOffboard, CreatedSince: since}
			_, err := c.Actions(t.Context(), f, Page{Top: 2, Skip: 9800})
			return err
		},
		"GET /api/machines?$top=10000&$filter=computerDnsName%20eq%20%27o%27%27brien+%2B%26%27": nil,
		"GET /api/machines?$top=1&$filter=id%20eq%20%27" + machine + "%27%20and%20aadDeviceId%20eq%20%27x%27%20and%20onboardingStatus%20eq%20%27Onboarded%27": func() error {
			_, err := c.Machines(t.Context(), MachineFilter{ID: machine, AADDeviceID: "x", OnboardingStatus: Onboarded}, Page{Top: 1})
			return err
		},
	} {
		if list == nil {
			want = strings.ReplaceAll(want, "+", "%20")
			list = func() error {
				_, err := c.Machines(t.Context(), MachineFilter{ComputerDNSName: "o'brien +&"}, Page{})
				return err
			}
		}
		if err := list(); err != nil || got != want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
}

// A filter that the service forgot must not select the whole tenant.
func TestFiltersAreCheckedAgain(t *testing.T) {
	t.Parallel()
	action := func(id, machineID, kind, created string) string {
		return fmt.Sprintf(`{"id":%q,"machineId":%q,"type":%q,"creationDateTimeUtc":%q}`, id, machineID, kind, created)
	}
	c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		all := []string{
			action("1", machine, "Offboard", "2026-03-01T11:00:00.1234567Z"),
			action("2", other, "Offboard", "2026-03-01T11:00:00Z"),
			action("3", machine, "Isolate", "2026-03-01T11:00:00Z"),
			action("4", machine, "Offboard", "2026-03-01T11:00:00.1234566Z"),
			action("5", strings.ToUpper(machine), "offboard", "some time"),
		}
		if strings.HasSuffix(r.URL.Path, "machines") {
			all = []string{
				`{"id":"` + machine + `","computerDnsName":"Host1","onboardingStatus":"Onboarded"}`,
				`{"id":"` + other + `","computerDnsName":"host2","onboardingStatus":"Onboarded"}`,
				`{"id":"` + other + `","computerDnsName":"host1","onboardingStatus":"CanBeOnboarded"}`,
			}
		}
		_, _ = io.WriteString(w, `{"@odata.nextLink":"http://`+r.Host+`/api/machines?=x","value":[`+strings.Join(all, ",")+`]}`)
	})
	f := ActionFilter{MachineID: machine, Type: TypeOffboard, CreatedSince: time.Date(2026, 3, 1, 11, 0, 0, 123456789, time.UTC)}
	actions, err := c.Actions(t.Context(), f, Page{})
	var ids []string
	for _, a := range actions.Items {
		ids = append(ids, a.ID)
	}
	if err != nil || actions.Received != 5 || !reflect.DeepEqual(ids, []string{"1", "5"}) {
		t.Errorf("actions %v of %d, %v", ids, actions.Received, err)
	}
	machines, err := c.Machines(t.Context(), MachineFilter{ComputerDNSName: "host1", OnboardingStatus: "onboarded"}, Page{})
	if err != nil || machines.Received != 3 || len(machines.Items) != 1 || machines.Items[0].ID != machine {
		t.Errorf("machines %+v, %v", machines, err)
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls: a link was followed", calls.Load())
	}
}

// Absence is evidence, so that nothing but a list may pass for an empty one.
func TestWhatIsAnEmptyList(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		empty  bool
		want   Meaning
	}{
		"an empty list":           {200, `{"value":[]}`, true, Applied},
		"404 of the service":      {404, `{"error":{"code":"NotFound","message":"no machines"}}`, true, Applied},
		"404 of a gateway":        {404, `<html>`, false, Unknown},
		"404 without a body":      {404, ``, false, Unknown},
		"no value":                {200, `{}`, false, Unknown},
		"value is null":           {200, `{"value":null}`, false, Unknown},
		"nothing":                 {200, ``, false, Unknown},
		"an error with 200":       {200, `{"error":{"code":"x"}}`, false, Unknown},
		"a row that is no object": {200, `{"value":[7]}`, false, Unknown},
		"a row without ids":       {200, `{"value":[{"type":"Offboard"}]}`, false, Unknown},
		"a row without a machine": {200, `{"value":[{"id":"1","type":"Offboard","machineId":null}]}`, false, Unknown},
		"no permission":           {403, forbiddenBody, false, Stop},
		"a bad filter":            {400, odataBody, false, Refused},
	} {
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body)
		})
		page, err := c.Actions(t.Context(), ActionFilter{MachineID: machine, Type: TypeOffboard}, Page{})
		if row.empty {
			if err != nil || page.Received != 0 || len(page.Items) != 0 {
				t.Errorf("%s: %+v, %v", name, page, err)
			}
			continue
		}
		if e := problem(t, err); e.Meaning != row.want || page.Received != 0 {
			t.Errorf("%s: %v, %v", name, e.Meaning, err)
		}
		if row.want == Stop && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMachineRowsNeedAnID(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"value":[{"id":"`+machine+`"},{"id":"host1"}]}`)
	})
	_, err := c.Machines(t.Context(), MachineFilter{}, Page{})
	if e := problem(t, err); e.Meaning != Unknown || !strings.Contains(err.Error(), "row 2") {
		t.Errorf("%v", err)
	}
}

// A full page of the largest kind is well within the bound.
func TestFullPage(t *testing.T) {
	t.Parallel()
	row := strings.ReplaceAll(string(sample(t, "machine.json")), "\n", "")
	body := `{"value":[` + strings.TrimSuffix(strings.Repeat(row+",", MaxPage), ",") + `]}`
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	page, err := c.Machines(t.Context(), MachineFilter{}, Page{})
	if err != nil || page.Received != MaxPage || len(page.Items) != MaxPage {
		t.Errorf("%d of %d rows, %v", len(page.Items), page.Received, err)
	}
	t.Logf("a page of %d machines has %d bytes of %d", MaxPage, len(body), maxList)
}
