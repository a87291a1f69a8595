package simulator_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

// wire is a real HTTP client over a pipe.
type wire struct {
	*http.Client
	s     *simulator.Simulator
	token string
}

// dial connects to a simulator for the length of a test, which may be a bubble's.
func dial(t *testing.T, s *simulator.Simulator) wire {
	t.Helper()
	p := simulator.NewPipe(s)
	tr := &http.Transport{DialContext: p.DialContext}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	c := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return wire{c, s, s.IssueToken(simulator.TokenOptions{})}
}

// offboard returns the status, 0 when there was no answer at all, and what came of the body.
func (c wire) offboard(ctx context.Context, machineID string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tenant/api/machines/"+machineID+"/offboard", strings.NewReader(`{"Comment":"retired"}`))
	if err != nil {
		return 0, "", err
	}
	r.GetBody = nil
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(b), err
}

func TestFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault   simulator.Fault
		status  int  // 0: no answer
		cut     bool // the answer does not come whole
		body    string
		effects int
		took    time.Duration
	}{
		{fault: simulator.Fault{Kind: simulator.DropBefore}, cut: true},
		{fault: simulator.Fault{Kind: simulator.DropAfter}, cut: true, effects: 1},
		{fault: simulator.Fault{Kind: simulator.StatusBefore}, status: 503, body: "<html>"},
		{fault: simulator.Fault{Kind: simulator.StatusBefore, Status: 404}, status: 404, body: "ResourceNotFound"},
		{fault: simulator.Fault{Kind: simulator.StatusBefore, Status: 403, Code: "Odd", Message: "words"}, status: 403, body: `"code":"Odd","message":"words"`},
		{fault: simulator.Fault{Kind: simulator.StatusAfter, Status: 500}, status: 500, body: "InternalServerError", effects: 1},
		{fault: simulator.Fault{Kind: simulator.StatusAfter, Status: 409}, status: 409, body: "BadRequest", effects: 1},
		{fault: simulator.Fault{Kind: simulator.SlowBefore, Delay: 7 * time.Second}, status: 201, body: "Pending", effects: 1, took: 7 * time.Second},
		{fault: simulator.Fault{Kind: simulator.SlowAfter, Delay: 7 * time.Second}, status: 201, body: "Pending", effects: 1, took: 7 * time.Second},
		{fault: simulator.Fault{Kind: simulator.LateApply, Delay: time.Minute}, cut: true},
		{fault: simulator.Fault{Kind: simulator.Throttle}, status: 429, body: `quota exceeded!"`},
		{fault: simulator.Fault{Kind: simulator.ExpireToken}, status: 401, body: "Unauthorized"},
		{fault: simulator.Fault{Kind: simulator.Garbage}, status: 201, body: "not what was asked for", effects: 1},
		{fault: simulator.Fault{Kind: simulator.Truncated}, status: 201, cut: true, body: `"id":`, effects: 1},
		{fault: simulator.Fault{Kind: simulator.WrongMachine}, status: 201, body: `"machineId":"ffff`, effects: 1},
		{fault: simulator.Fault{Kind: simulator.NoID}, status: 201, body: "Pending", effects: 1},
		{fault: simulator.Fault{Kind: simulator.Redirect}, status: 307},
		{fault: simulator.Fault{Kind: simulator.Endless}, status: 201, body: `{"endless":"   `, effects: 1},
	} {
		t.Run(string(tc.fault.Kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := simulator.New(simulator.Config{Machines: 1, Faults: []simulator.Fault{tc.fault}}).Watch(t)
				begun := time.Now()
				status, body, err := dial(t, s).offboard(t.Context(), s.Machines()[0].ID)
				if status != tc.status || (err != nil) != tc.cut || !strings.Contains(body, tc.body) {
					t.Errorf("status %d, error %v, body %.200q; want %d, cut %v, %q", status, err, body, tc.status, tc.cut, tc.body)
				}
				if took := time.Since(begun); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				if tc.fault.Kind == simulator.NoID && strings.Contains(body, `"id":`) {
					t.Errorf("body has an id: %s", body)
				}
				truth := s.Truth()
				if _, effects := s.Effects(); effects != tc.effects || truth.Faults[tc.fault.Kind] != 1 {
					t.Errorf("%d effects, %d faults; want %d and 1", effects, truth.Faults[tc.fault.Kind], tc.effects)
				}
			})
		})
	}
}

func TestFaultEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := simulator.New(simulator.Config{Machines: 1, Faults: []simulator.Fault{{Kind: simulator.Throttle, Until: time.Minute}}}).Watch(t)
		w := dial(t, s)
		for _, want := range []int{429, 429, 201} { // at 0, 30 and 60 s
			if status, body, err := w.offboard(t.Context(), s.Machines()[0].ID); status != want || err != nil {
				t.Errorf("%s: status %d, error %v, body %s; want %d", time.Now(), status, err, body, want)
			}
			<-time.After(30 * time.Second)
		}
	})
}

func TestDripTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := simulator.New(simulator.Config{Machines: 1, Faults: []simulator.Fault{{Kind: simulator.Drip, Delay: time.Second}}}).Watch(t)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		status, body, err := dial(t, s).offboard(ctx, s.Machines()[0].ID)
		if status != http.StatusCreated || !errors.Is(err, context.DeadlineExceeded) || len(body) < 25 || len(body) > 31 {
			t.Errorf("status %d, error %v, %d bytes within 30 s", status, err, len(body))
		}
	})
}

func TestRequestArrivesThoughItsClientHasGone(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]simulator.Config{
		"late":           {Faults: []simulator.Fault{{Kind: simulator.LateApply, Delay: 40 * time.Second}}},
		"slow":           {Faults: []simulator.Fault{{Kind: simulator.SlowBefore, Delay: 40 * time.Second}}},
		"plain latency":  {Latency: 80 * time.Second},
		"latency varies": {Latency: 80 * time.Second, Jitter: time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg.Machines = 1
				s := simulator.New(cfg).Watch(t)
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if status, _, err := dial(t, s).offboard(ctx, s.Machines()[0].ID); err == nil {
					t.Fatalf("answered %d", status)
				}
				synctest.Wait()
				if truth := s.Truth(); truth.UnderWay != 1 || len(truth.Machines) != 0 {
					t.Errorf("truth %+v, want one request under way and none arrived", truth)
				}
				<-time.After(time.Minute)
				log := s.Log(simulator.ClassOffboard)
				if _, effects := s.Effects(); effects != 1 || len(log) != 1 {
					t.Fatalf("%d effects, log %+v", effects, log)
				}
				if at := log[0].Time.Sub(start).Round(time.Microsecond); at != 40*time.Second {
					t.Errorf("arrived after %v, want 40s", at)
				}
			})
		})
	}
}

func TestLateRequestsArriveInOrderAndUnderTheQuota(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 2, PerMinute: 1, Now: clk.Now, Faults: []simulator.Fault{
		{Kind: simulator.LateApply, Nth: 1, Delay: 20 * time.Second},
		{Kind: simulator.LateApply, Nth: 2, Delay: 10 * time.Second},
	}}).Watch(t)
	c, m := newClient(s), s.Machines()
	for _, one := range m {
		if a := c.offboard(one.ID); !a.aborted {
			t.Fatalf("answered %d", a.status)
		}
	}
	clk.forward(time.Hour / 2)
	var order []string
	for _, l := range s.Log(simulator.ClassOffboard) {
		order = append(order, l.MachineID+text(l.Throttled))
	}
	if want := []string{m[1].ID + "false", m[0].ID + "true"}; !slices.Equal(order, want) {
		t.Errorf("arrivals %q, want %q", order, want)
	}
}

func TestWhichRequestsAreHit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault simulator.Fault
		want  string // x: hit, of the calls to machines 0 1 0 1 0 1
	}{
		"all":             {simulator.Fault{}, "xxxxxx"},
		"nth":             {simulator.Fault{Nth: 3}, "--x---"},
		"every":           {simulator.Fault{Every: 2}, "-x-x-x"},
		"times":           {simulator.Fault{Times: 2}, "xx----"},
		"every, times":    {simulator.Fault{Every: 2, Times: 1}, "-x----"},
		"machine":         {simulator.Fault{Machine: "0"}, "x-x-x-"},
		"machine, nth":    {simulator.Fault{Machine: "1", Nth: 2}, "---x--"},
		"certain":         {simulator.Fault{Probability: 1}, "xxxxxx"},
		"any endpoint":    {simulator.Fault{Endpoint: simulator.AnyEndpoint, Nth: 2}, "-x----"},
		"other endpoints": {simulator.Fault{Endpoint: simulator.ListActions}, "------"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := simulator.New(simulator.Config{Machines: 2}).Machines()
			if tc.fault.Machine != "" {
				tc.fault.Machine = m[strings.Index("01", tc.fault.Machine)].ID
			}
			tc.fault.Kind = simulator.StatusBefore
			c := newClient(simulator.New(simulator.Config{Machines: 2, Now: newClock().Now, Faults: []simulator.Fault{tc.fault}}))
			got := ""
			for i := range 6 {
				if c.offboard(m[i%2].ID).status == http.StatusServiceUnavailable {
					got += "x"
				} else {
					got += "-"
				}
			}
			if got != tc.want {
				t.Errorf("hit %s, want %s", got, tc.want)
			}
		})
	}
}

func TestProbabilityFollowsTheSeed(t *testing.T) {
	t.Parallel()
	hits := func(seed int64) (pattern string) {
		s := simulator.New(simulator.Config{Seed: seed, Now: newClock().Now, PerMinute: -1, PerHour: -1,
			Faults: []simulator.Fault{{Kind: simulator.StatusBefore, Endpoint: simulator.ListActions, Probability: 0.3}}})
		c := newClient(s)
		for range 1000 {
			pattern += text(c.get("/api/machineactions").status)[:1]
		}
		return pattern
	}
	one := hits(1)
	if n := strings.Count(one, "5"); n < 250 || n > 350 {
		t.Errorf("%d of 1000 hit, want about 300", n)
	}
	if one != hits(1) || one == hits(2) {
		t.Error("hits do not follow the seed")
	}
}

func TestScriptedThrottleSaysWhatItIsTold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault   simulator.Fault
		message string
		header  string
	}{
		"nothing": {simulator.Fault{}, "API calls quota exceeded!", ""},
		"all": {simulator.Fault{Wait: 8 * time.Second, Period: time.Minute},
			"API calls quota exceeded! Maximum allowed 100 per 00:01:00 for the key Destination+TenantID+AppID. You can send requests again in 8 seconds.", "8"},
		"no header": {simulator.Fault{Wait: 8 * time.Second, RetryAfter: "none"}, "API calls quota exceeded! You can send requests again in 8 seconds.", ""},
		"verbatim":  {simulator.Fault{Wait: 8 * time.Second, RetryAfter: "-5"}, "API calls quota exceeded! You can send requests again in 8 seconds.", "-5"},
		"hour":      {simulator.Fault{Period: time.Hour}, "API calls quota exceeded! Maximum allowed 1500 per 01:00:00 for the key Destination+TenantID+AppID.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.fault.Kind, tc.fault.Endpoint = simulator.Throttle, simulator.AnyEndpoint
			s := simulator.New(simulator.Config{Now: newClock().Now, Faults: []simulator.Fault{tc.fault}}).Watch(t)
			a := newClient(s).get("/api/machines")
			wantStatus(t, a, http.StatusTooManyRequests)
			if _, message := a.failure(t); message != tc.message || a.header.Get("Retry-After") != tc.header {
				t.Errorf("message %q, Retry-After %q", message, a.header.Get("Retry-After"))
			}
			if got := s.Truth().Calls[simulator.ClassMachines]; got.Throttled != 1 {
				t.Errorf("calls %+v, want one throttled", got)
			}
		})
	}
}

func TestRedirectKeepsTheWay(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{"": "http://tenant/moved/api/machines", "https://elsewhere/": "https://elsewhere/"} {
		s := simulator.New(simulator.Config{Now: newClock().Now, Faults: []simulator.Fault{
			{Kind: simulator.Redirect, Endpoint: simulator.ListMachines, Location: location}}})
		a := newClient(s).get("/api/machines")
		wantStatus(t, a, http.StatusTemporaryRedirect)
		if got := a.header.Get("Location"); got != want {
			t.Errorf("Location %q, want %q", got, want)
		}
	}
}

func TestObserveSeesARequestTwice(t *testing.T) {
	t.Parallel()
	var seen []simulator.Request
	var effects []int
	var s *simulator.Simulator
	s = simulator.New(simulator.Config{Machines: 1, Now: newClock().Now, Observe: func(r simulator.Request) {
		_, n := s.Effects()
		seen, effects = append(seen, r), append(effects, n)
	}})
	id := s.Machines()[0].ID
	newClient(s).offboard(id)
	want := []simulator.Request{{simulator.Arrived, simulator.Offboard, id, 1}, {simulator.Answering, simulator.Offboard, id, 1}}
	if !slices.Equal(seen, want) || !slices.Equal(effects, []int{0, 1}) {
		t.Errorf("seen %v with %v effects, want %v with 0 and 1", seen, effects, want)
	}
}

func TestClosedPipe(t *testing.T) {
	t.Parallel()
	p := simulator.NewPipe(simulator.New(simulator.Config{}))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DialContext(t.Context(), "tcp", "x"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v, want net.ErrClosed", err)
	}
}
