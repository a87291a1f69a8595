package simulator_test

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

func ids(machines []simulator.Machine) []string {
	list := []string{}
	for _, m := range machines {
		list = append(list, m.ID)
	}
	return list
}

func listed(filter string) string { return "?$filter=" + url.QueryEscape(filter) }

// fleet is a tenant where three machines were offboarded a minute apart.
func fleet(t *testing.T, cfg simulator.Config) (s *simulator.Simulator, clk *clock, actions []string) {
	t.Helper()
	clk = newClock()
	cfg.Machines, cfg.Now, cfg.PerMinute, cfg.PerHour = 3, clk.Now, -1, -1
	s = simulator.New(cfg).Watch(t)
	for _, m := range s.Machines() {
		actions = append(actions, text(newClient(s).offboard(m.ID).object(t)["id"]))
		clk.forward(time.Minute)
	}
	return s, clk, actions
}

func TestListActions(t *testing.T) {
	t.Parallel()
	s, clk, a := fleet(t, simulator.Config{})
	clk.forward(-59 * time.Second) // the third is pending, a second old
	c, m := newClient(s), s.Machines()
	for query, want := range map[string][]string{
		"":                              {a[2], a[1], a[0]},
		"?$top=2":                       {a[2], a[1]},
		"?$top=2&$skip=2":               {a[0]},
		"?$skip=9":                      {},
		"?$top=0":                       {},
		"?$orderby=creationDateTimeUtc": {a[0], a[1], a[2]},
		"?$orderby=type,creationdatetimeutc%20desc":                                             {a[2], a[1], a[0]},
		listed("machineId eq '" + m[1].ID + "'"):                                                {a[1]},
		listed("type eq 'Offboard' and creationDateTimeUtc ge 2026-03-01T12:01:00Z"):            {a[2], a[1]},
		listed("type eq 'Offboard' and creationDateTimeUtc gt 2026-03-01T12:01:00.0000000Z"):    {a[2]},
		listed("creationDateTimeUtc lt 2026-03-02"):                                             {a[2], a[1], a[0]},
		listed("creationDateTimeUtc le 2026-02-28Z"):                                            {},
		listed("id in ('" + a[0] + "', '" + a[2] + "','none')"):                                 {a[2], a[0]},
		listed("status ne 'Succeeded'"):                                                         {a[2]},
		listed("not (status eq 'Succeeded') or id eq '" + a[0] + "'"):                           {a[2], a[0]},
		listed("type eq 'Isolate' or type eq 'Offboard' and requestor eq 'nobody'"):             {},
		listed("startswith(requestor,'Fleet') and (status eq 'Pending' or status eq 'Failed')"): {a[2]},
		listed("requestor eq 'O''Neill'"):                                                       {},
	} {
		if got := c.get("/api/machineactions" + strings.ReplaceAll(query, " ", "%20")).rows(t); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if got := c.get("/api/machineactions?$count=true&$top=1").object(t); got["@odata.count"] != float64(3) {
		t.Errorf("count %v, want 3", got["@odata.count"])
	}
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now, PerMinute: -1, PerHour: -1})
	for query, words := range map[string]string{
		"?$stop=5":                           "'$stop' is not supported",
		"?$select=id":                        "'$select' is not supported",
		"?$top=10001":                        "limit of '10000'",
		"?$top=-1":                           "$top",
		"?$skip=x":                           "$skip",
		"?$count=perhaps":                    "perhaps",
		"?$orderby=comment":                  "'comment'",
		"?$orderby=id%20up":                  "$orderby",
		listed("requestorComment eq 'x'"):    "could not find a property named 'requestorComment'",
		listed(""):                           "too early",
		listed("type"):                       "too early",
		listed("type eq"):                    "too early",
		listed("type eq Offboard"):           "incompatible type",
		listed("type like 'x'"):              "'like'",
		listed("creationDateTimeUtc gt 'x'"): "incompatible type",
		listed("type eq 'x' type eq 'y'"):    "'type'",
		listed("(type eq 'x'"):               "too early",
		listed("type in 'x'"):                "''x''",
		listed("type in ('x'"):               "too early",
		listed("startswith type"):            "'type'",
		listed("startswith(creationDateTimeUtc,2026-01-01)"): "startswith",
		listed("type eq 'x"):                    "position 8",
		listed(strings.Repeat("(", 200) + "id"): "node count limit",
	} {
		a := newClient(s).get("/api/machineactions" + query)
		wantFailure(t, a, http.StatusBadRequest, "", "The query specified in the URI is not valid. ")
		if _, message := a.failure(t); !strings.Contains(message, words) {
			t.Errorf("%s: message %q, want %q in it", query, message, words)
		}
		if e := a.object(t)["error"].(map[string]any); e["details"] == nil || e["target"] != nil {
			t.Errorf("%s: %v, want details and no target", query, e)
		}
	}
}

func TestListOfActionsLags(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, ListLag: 15 * time.Second, SettleAfter: 20 * time.Second, Now: clk.Now}).Watch(t)
	c := newClient(s)
	id := text(c.offboard(s.Machines()[0].ID).object(t)["id"])
	for _, step := range []struct {
		forward time.Duration
		rows    int
		pending int
	}{{0, 0, 0}, {15*time.Second - 1, 0, 0}, {1, 1, 1}, {9 * time.Second, 1, 1}, {time.Second, 1, 0}} {
		clk.forward(step.forward)
		all, pending := c.get("/api/machineactions").rows(t), c.get("/api/machineactions"+listed("status eq 'Pending'")).rows(t)
		if len(all) != step.rows || len(pending) != step.pending {
			t.Errorf("at %v: %d listed, %d pending; want %d and %d", clk.now, len(all), len(pending), step.rows, step.pending)
		}
		wantStatus(t, c.get("/api/machineactions/"+id), http.StatusOK)
	}
}

func TestListMachines(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 5, Now: newClock().Now, PerMinute: -1}).Watch(t)
	c := newClient(s)
	discovered := simulator.Machine{ID: strings.Repeat("d", 40), ComputerDNSName: "printer", OnboardingStatus: "CanBeOnboarded", RBACGroupID: 140, MachineTags: []string{"x"}}
	s.AddMachine(discovered)
	all := s.Machines()
	for query, want := range map[string][]string{
		"":                ids(all),
		"?$top=2&$skip=4": ids(all[4:]),
		listed("onboardingStatus eq 'Onboarded'"):                      ids(all[:5]),
		listed("onboardingstatus ne 'Onboarded' and rbacGroupId ge 1"): {discovered.ID},
		listed("startswith(computerDnsName,'host-0000')"):              ids(all[:5]),
		listed("aadDeviceId eq null"):                                  {discovered.ID},
		listed("aadDeviceId eq '" + all[2].AADDeviceID + "'"):          {all[2].ID},
		listed("lastSeen ge 2026-03-01T12:00:00Z and version eq '24H2' and healthStatus eq 'Active' and osPlatform eq 'Windows11' and riskScore eq 'None' and exposureLevel eq 'Low' and deviceValue eq 'Normal' and lastIpAddress eq null"): {discovered.ID},
	} {
		if got := c.get("/api/machines" + query).rows(t); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	wantFailure(t, c.get("/api/machines"+listed("id eq 'none'")), http.StatusNotFound, "NotFound", "")
	wantFailure(t, c.get("/api/machines?$top=5&$skip=6"), http.StatusNotFound, "NotFound", "")
	wantStatus(t, c.get("/api/machines"+listed("machineTags eq 'x'")), http.StatusBadRequest)
}

func TestGetMachine(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 2, Now: clk.Now, TokenLife: 1000 * time.Hour}).Watch(t)
	c, m := newClient(s), s.Machines()[0]
	for _, key := range []string{m.ID, m.ComputerDNSName} {
		got := c.get("/api/machines/" + key).object(t)
		if got["id"] != m.ID || got["onboardingStatus"] != "Onboarded" || got["healthStatus"] != "Active" || got["rbacGroupId"] != float64(0) {
			t.Errorf("machine %v", got)
		}
	}
	c.offboard(m.ID)
	clk.forward(8 * 24 * time.Hour)
	if got := c.get("/api/machines/" + m.ID).object(t); got["onboardingStatus"] != "Onboarded" || got["healthStatus"] != "Inactive" {
		t.Errorf("a week after offboarding: %v", got)
	}
	s.RemoveMachine(m.ID)
	wantFailure(t, c.get("/api/machines/"+m.ID), http.StatusNotFound, "ResourceNotFound", "Machine "+m.ID+" was not found")
	wantFailure(t, c.offboard(m.ID), http.StatusNotFound, "ResourceNotFound", "Machine "+m.ID+" was not found")
	m.ID = s.Machines()[0].ID
	m.Refuse = "ClientVersionNotSupported"
	s.AddMachine(m)
	wantFailure(t, c.offboard(m.ID), http.StatusBadRequest, "ClientVersionNotSupported", "")
	if n := len(s.Machines()); n != 1 {
		t.Errorf("%d machines, want the one that was replaced", n)
	}
}

// TestNextLinkLosesItsFilter walks along the links as a trusting client would.
func TestNextLinkLosesItsFilter(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 9, PageSize: 2, Now: newClock().Now}).Watch(t)
	for i, m := range s.Machines() {
		if i >= 7 {
			m.OnboardingStatus = "Unsupported"
			s.AddMachine(m)
		}
	}
	c := newClient(s)
	seen := map[string]int{}
	target := "/api/machines" + listed("onboardingStatus eq 'Onboarded'")
	for hop := range 12 {
		a := c.get(target)
		for _, id := range a.rows(t) {
			seen[id]++
		}
		link, ok := a.object(t)["@odata.nextLink"].(string)
		if !ok {
			t.Fatalf("the chain ended at hop %d", hop)
		}
		if lost := strings.Contains(link, "?="); lost != (hop >= 1) {
			t.Errorf("hop %d: link %s", hop, link)
		}
		target = strings.TrimPrefix(link, "http://tenant")
	}
	if len(seen) != 9 {
		t.Errorf("%d machines seen, want all 9, unsupported ones too", len(seen))
	}
	if a := c.get("/api/machines?$top=2"); strings.Contains(a.body, "nextLink") {
		t.Errorf("with $top a link came: %s", a.body)
	}
	if a := c.get("/api/machines?$skip=8"); strings.Contains(a.body, "nextLink") {
		t.Errorf("the last page has a link: %s", a.body)
	}
}

func TestMachinesFollowTheSeed(t *testing.T) {
	t.Parallel()
	write := func(seed int64, n int) [][]string {
		var b bytes.Buffer
		if err := simulator.New(simulator.Config{Machines: 30, Seed: seed}).WriteList(&b, n); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	rows := write(1, 0)
	if len(rows) != 31 || !slices.Equal(rows[0], []string{"id", "name", "owner", "site", "ticket"}) {
		t.Fatalf("%d rows, header %q", len(rows), rows[0])
	}
	if n := len(write(1, 4)); n != 5 {
		t.Errorf("%d rows for 4 machines", n)
	}
	if again := write(1, 0); !slices.Equal(again[30], rows[30]) || slices.Equal(write(2, 0)[30], rows[30]) {
		t.Error("the list does not follow the seed")
	}
	var offline, failing int
	for _, m := range simulator.New(simulator.Config{Machines: 1000, Offline: 0.2, Failing: 0.1}).Machines() {
		if len(m.ID) != 40 || strings.Trim(m.ID, "0123456789abcdef") != "" {
			t.Fatalf("machine id %q", m.ID)
		}
		if m.Offline {
			offline++
		}
		if m.Failing {
			failing++
		}
	}
	if offline < 150 || offline > 250 || failing < 60 || failing > 140 {
		t.Errorf("%d offline and %d failing of 1000, want about 200 and 100", offline, failing)
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"type eq 'Offboard' and creationDateTimeUtc ge 2026-01-01Z", "not (id in ('a','b'))", "startswith(requestor,'O''N')", "((((", "id eq"} {
		f.Add(seed)
	}
	s := simulator.New(simulator.Config{Machines: 1, PerMinute: -1, PerHour: -1})
	c := newClient(s)
	c.offboard(s.Machines()[0].ID)
	f.Fuzz(func(t *testing.T, filter string) {
		a := c.get("/api/machineactions" + listed(filter))
		if a.status == http.StatusOK {
			if n := len(a.rows(t)); n > 1 {
				t.Errorf("%d rows of one", n)
			}
			return
		}
		wantFailure(t, a, http.StatusBadRequest, "", "not valid")
	})
}
