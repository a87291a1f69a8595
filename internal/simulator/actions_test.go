package simulator_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

func TestOffboardIsCreatedAndPending(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now}).Watch(t)
	m := s.Machines()[0]
	a := newClient(s).offboard(m.ID)
	wantStatus(t, a, http.StatusCreated)
	got := a.object(t)
	for key, want := range map[string]any{
		"type": "Offboard", "status": "Pending", "machineId": m.ID, "computerDnsName": m.ComputerDNSName,
		"requestorComment": "retired", "requestor": "Fleet Retirement", "requestSource": "PublicApi",
		"creationDateTimeUtc": "2026-03-01T12:00:00.0000000Z", "lastUpdateDateTimeUtc": "2026-03-01T12:00:00.0000000Z",
		"errorHResult": float64(0),
		"title":        nil, "scope": nil, "externalId": nil, "relatedFileInfo": nil, "troubleshootInfo": nil,
		"cancellationRequestor": nil, "cancellationComment": nil, "cancellationDateTimeUtc": nil,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s = %v (present %v), want %v", key, v, ok, want)
		}
	}
	if c, ok := got["commands"].([]any); !ok || len(c) != 0 {
		t.Errorf("commands = %v, want an empty array", got["commands"])
	}
	if !strings.HasSuffix(text(got["@odata.context"]), "$metadata#MachineActions/$entity") {
		t.Errorf("context = %v", got["@odata.context"])
	}
	if want := s.Truth().Machines[m.ID].ActionIDs; !slices.Equal(want, []string{text(got["id"])}) {
		t.Errorf("truth has actions %v, the answer %v", want, got["id"])
	}
}

func TestOffboardRefusals(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now}).Watch(t)
	id, c := s.Machines()[0].ID, newClient(s)
	refused := func(n, code string) string {
		m := simulator.Machine{ID: strings.Repeat(n, 40), Refuse: code}
		s.AddMachine(m)
		return "/api/machines/" + m.ID + "/offboard"
	}
	missing := strings.Repeat("0", 40)
	for name, tc := range map[string]struct {
		target, body string
		status       int
		code, words  string
	}{
		"not found":       {"/api/machines/" + missing + "/offboard", `{"Comment":"x"}`, 404, "ResourceNotFound", "Machine " + missing + " was not found"},
		"no comment":      {"/api/machines/" + id + "/offboard", `{}`, 400, "MissingRequiredParameter", "Comment"},
		"wrong case":      {"/api/machines/" + id + "/offboard", `{"comment":"x"}`, 400, "MissingRequiredParameter", "Comment"},
		"no body":         {"/api/machines/" + id + "/offboard", ``, 400, "InvalidRequestBody", ""},
		"no object":       {"/api/machines/" + id + "/offboard", `[1]`, 400, "InvalidRequestBody", ""},
		"old system":      {refused("a", "OsPlatformNotSupported"), `{"Comment":"x"}`, 400, "OsPlatformNotSupported", ""},
		"policy":          {refused("b", "DisallowedOperation"), `{"Comment":"x"}`, 403, "DisallowedOperation", ""},
		"no such path":    {"/api/machines/" + id + "/isolate", `{"Comment":"x"}`, 404, "NotFound", ""},
		"cancel nothing":  {"/api/machineactions/none/cancel", `{"Comment":"x"}`, 404, "ResourceNotFound", ""},
		"cancel in quiet": {"/api/machineactions/none/cancel", `{}`, 400, "MissingRequiredParameter", ""},
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, c.do(http.MethodPost, tc.target, tc.body), tc.status, tc.code, tc.words)
		})
	}
	if machines, _ := s.Effects(); machines != 0 {
		t.Errorf("%d machines were offboarded by refused requests", machines)
	}
}

func TestOtherMethodIsRefusedWithoutBody(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now})
	for target, allow := range map[string]string{
		"/api/machines/" + s.Machines()[0].ID + "/offboard":    "POST",
		"/" + simulator.DefaultTenantID + "/oauth2/v2.0/token": "POST",
	} {
		a := newClient(s).get(target)
		wantStatus(t, a, http.StatusMethodNotAllowed)
		if a.body != "" || a.header.Get("Allow") != allow {
			t.Errorf("%s: body %q, Allow %q", target, a.body, a.header.Get("Allow"))
		}
	}
}

func TestVersionedPrefix(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now}).Watch(t)
	a := newClient(s).do(http.MethodPost, "/api/v1.0/machines/"+s.Machines()[0].ID+"/offboard", `{"Comment":"x"}`)
	wantStatus(t, a, http.StatusCreated)
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now}).Watch(t)
		c, id := newClient(s), s.Machines()[0].ID
		c.offboard(id)
		wantFailure(t, c.offboard(id), http.StatusBadRequest, "ActiveRequestAlreadyExists", "Action is already in progress")
		if got := s.Truth().Machines[id]; got.Requests != 2 || got.Effects != 1 {
			t.Errorf("truth %+v, want 2 requests and 1 effect", got)
		}
	})
	t.Run("answered with the pending action", func(t *testing.T) {
		t.Parallel()
		s := simulator.New(simulator.Config{Machines: 1, ReturnActive: 1, Now: newClock().Now}).Watch(t)
		c, id := newClient(s), s.Machines()[0].ID
		first, second := c.offboard(id), c.offboard(id)
		wantStatus(t, second, http.StatusOK)
		if first.object(t)["id"] != second.object(t)["id"] {
			t.Errorf("second action %v, want the first %v", second.body, first.body)
		}
	})
	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		s := simulator.New(simulator.Config{Machines: 1, AcceptDuplicates: true, Now: newClock().Now})
		c, id := newClient(s), s.Machines()[0].ID
		c.offboard(id)
		wantStatus(t, c.offboard(id), http.StatusCreated)
		if v := s.Violations(); len(v) != 1 || !strings.Contains(v[0], id) {
			t.Errorf("violations %q, want one that names the machine", v)
		}
	})
	t.Run("after the first has ended", func(t *testing.T) {
		t.Parallel()
		clk := newClock()
		s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now})
		c, id := newClient(s), s.Machines()[0].ID
		c.offboard(id)
		clk.forward(time.Minute)
		wantStatus(t, c.offboard(id), http.StatusCreated)
		if v := s.Violations(); len(v) != 1 {
			t.Errorf("violations %q, want one", v)
		}
	})
}

func TestStatusMovesOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		machine simulator.Machine
		cfg     simulator.Config
		want    map[time.Duration]string
	}{
		"online":  {simulator.Machine{}, simulator.Config{}, map[time.Duration]string{9 * time.Second: "Pending", 10 * time.Second: "InProgress", 20 * time.Second: "Succeeded"}},
		"failing": {simulator.Machine{Failing: true}, simulator.Config{}, map[time.Duration]string{10 * time.Second: "InProgress", 20 * time.Second: "Failed"}},
		"offline": {simulator.Machine{Offline: true}, simulator.Config{}, map[time.Duration]string{71 * time.Hour: "Pending", 72 * time.Hour: "TimeOut"}},
		"never":   {simulator.Machine{}, simulator.Config{SettleAfter: -1, TokenLife: 1000 * time.Hour}, map[time.Duration]string{900 * time.Hour: "Pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for after, want := range tc.want {
				clk := newClock()
				tc.cfg.Now, tc.cfg.TokenLife = clk.Now, 1000*time.Hour
				s := simulator.New(tc.cfg).Watch(t)
				tc.machine.ID = strings.Repeat("c", 40)
				s.AddMachine(tc.machine)
				c := newClient(s)
				id := text(c.offboard(tc.machine.ID).object(t)["id"])
				clk.forward(after)
				got := c.get("/api/machineactions/" + id).object(t)
				if got["status"] != want {
					t.Errorf("after %v: status %v, want %s", after, got["status"], want)
				}
				if failed := got["errorHResult"] != float64(0); failed != (want == "Failed") {
					t.Errorf("after %v: status %s with errorHResult %v", after, want, got["errorHResult"])
				}
			}
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now}).Watch(t)
	c := newClient(s)
	created := c.offboard(s.Machines()[0].ID).object(t)
	target := "/api/machineactions/" + text(created["id"])
	clk.forward(time.Second)
	a := c.do(http.MethodPost, target+"/cancel", `{"Comment":"mistaken"}`)
	wantStatus(t, a, http.StatusOK)
	got := a.object(t)
	if got["id"] != created["id"] || got["status"] != "Cancelled" || got["cancellationComment"] != "mistaken" ||
		got["cancellationDateTimeUtc"] != "2026-03-01T12:00:01.0000000Z" {
		t.Errorf("cancelled action %v", got)
	}
	clk.forward(time.Hour - 2*time.Second)
	if got := c.get(target).object(t); got["status"] != "Cancelled" {
		t.Errorf("a cancelled action became %v", got["status"])
	}
	wantFailure(t, c.do(http.MethodPost, target+"/cancel", `{"Comment":"again"}`), http.StatusBadRequest, "BadRequest", "Cancelled")
}

func TestPortalActionIsAuthorisedAndNoMore(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now})
	id := s.Machines()[0].ID
	action := s.Act(id, "by hand")
	if v := s.Violations(); len(v) != 0 {
		t.Errorf("violations %q after the portal's own action", v)
	}
	if got := newClient(s).get("/api/machineactions/" + action).object(t); got["requestSource"] != "Portal" {
		t.Errorf("portal action %v", got)
	}
	clk.forward(time.Minute)
	newClient(s).offboard(id)
	if v := s.Violations(); len(v) != 1 {
		t.Errorf("violations %q, want one: the machine had been offboarded by hand", v)
	}
	if got := s.Act("none", "x"); got != "" {
		t.Errorf("acted on a machine that does not exist: %q", got)
	}
}

func TestAuthorisedEffects(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, AcceptDuplicates: true, Now: newClock().Now})
	id, c := s.Machines()[0].ID, newClient(s)
	s.Authorise(id, 2)
	c.offboard(id)
	c.offboard(id)
	if v := s.Violations(); len(v) != 0 {
		t.Errorf("violations %q within what was authorised", v)
	}
	c.offboard(id)
	if v := s.Violations(); len(v) != 1 {
		t.Errorf("violations %q, want one for the third effect", v)
	}
	if machines, effects := s.Effects(); machines != 1 || effects != 3 {
		t.Errorf("%d machines, %d effects, want 1 and 3", machines, effects)
	}
}

func TestPortalCancels(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now}).Watch(t)
	id := s.Act(s.Machines()[0].ID, "wrong")
	if s.Cancel("nothing", "stop") || !s.Cancel(id, "stop") || s.Cancel(id, "stop") {
		t.Error("an action is cancelled once, and nothing else is")
	}
	got := newClient(s).get("/api/machineactions/" + id).object(t)
	if got["status"] != "Cancelled" || got["cancellationComment"] != "stop" {
		t.Errorf("%v", got)
	}
}

func TestCommentIsKeptInPart(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]string{0: "rétired", 3: "rét", 7: "rétired", 100: "rétired", -1: ""} {
		clk := newClock()
		s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now, CommentLimit: limit}).Watch(t)
		id := s.Act(s.Machines()[0].ID, "rétired")
		if got := newClient(s).get("/api/machineactions/" + id).object(t)["requestorComment"]; got != want {
			t.Errorf("with a limit of %d: %q", limit, got)
		}
	}
}

// TestWake: a machine that comes back in time does what it was asked for; for one
// that comes too late the service has given up.
func TestWake(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 2, Seed: 1, Now: clk.Now, Offline: 1, SettleAfter: time.Minute, TimeOutAfter: time.Hour}).Watch(t)
	ids := s.Machines()
	for _, m := range ids {
		s.Act(m.ID, "why")
	}
	clk.forward(30 * time.Minute)
	s.Wake(ids[0].ID)
	back := clk.Now()
	clk.forward(40 * time.Minute)
	s.Wake(ids[1].ID)
	clk.forward(2 * time.Minute)
	truth := s.Truth().Machines
	if !truth[ids[0].ID].Done || truth[ids[1].ID].Done {
		t.Errorf("%+v", truth)
	}
	if m := s.Machines()[0]; m.Offline || !m.LastSeen.Equal(back) {
		t.Errorf("%+v", m)
	}
}
