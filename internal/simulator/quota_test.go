package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

func TestThrottled(t *testing.T) {
	t.Parallel()
	const message = "API calls quota exceeded! Maximum allowed 2 per 00:01:00 for the key Destination+TenantID+AppID. You can send requests again in %d seconds."
	for name, tc := range map[string]struct {
		style   simulator.RetryAfter
		message string
		header  string
	}{
		"seconds": {simulator.RetryAfterSeconds, fmt.Sprintf(message, 50), "50"},
		"floor":   {simulator.RetryAfterFloor, fmt.Sprintf(message, 49), "49"},
		"date":    {simulator.RetryAfterDate, fmt.Sprintf(message, 50), "Sun, 01 Mar 2026 12:01:00 GMT"},
		"missing": {simulator.RetryAfterMissing, "API calls quota exceeded! maximum allowed 2 per 00:01:00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			s := simulator.New(simulator.Config{Machines: 3, PerMinute: 2, RetryAfter: tc.style, Now: clk.Now}).Watch(t)
			c := newClient(s)
			for _, m := range s.Machines()[:2] {
				wantStatus(t, c.offboard(m.ID), http.StatusCreated)
			}
			clk.forward(10*time.Second + 500*time.Millisecond)
			a := c.offboard(s.Machines()[2].ID)
			wantStatus(t, a, http.StatusTooManyRequests)
			e := a.object(t)["error"].(map[string]any)
			if e["code"] != "429" || e["message"] != tc.message || e["target"] != simulator.DefaultTenantID {
				t.Errorf("error %v, want message %q", e, tc.message)
			}
			if got := a.header.Get("Retry-After"); got != tc.header {
				t.Errorf("Retry-After %q, want %q", got, tc.header)
			}
			if _, effects := s.Effects(); effects != 2 {
				t.Errorf("%d effects: a throttled call was applied", effects)
			}
		})
	}
}

func TestHourlyQuota(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{PerHour: 150, Now: clk.Now}).Watch(t)
	c := newClient(s)
	for range 150 {
		clk.forward(time.Second)
		wantStatus(t, c.get("/api/machineactions"), http.StatusOK)
	}
	clk.forward(time.Minute)
	wantFailure(t, c.get("/api/machineactions"), http.StatusTooManyRequests, "429", "150 per 01:00:00")
	ct := s.Truth().Calls[simulator.ClassActions]
	if want := (simulator.CallTruth{Arrived: 151, Throttled: 1, PeakMinute: 60, PeakHour: 151}); ct != want {
		t.Errorf("calls %+v, want %+v", ct, want)
	}
}

// TestWindows sends five calls to a quota of two a minute, at the seconds given, and looks which are
// refused. The windows differ at their edges only.
func TestWindows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  simulator.Config
		at   []float64
		want string // + counted, - refused
	}{
		"sliding":                {simulator.Config{}, []float64{0, 30, 59.9, 60, 89}, "++-+-"},
		"sliding frees one":      {simulator.Config{}, []float64{0, 30, 60, 89.9, 90}, "+++-+"},
		"fixed":                  {simulator.Config{Window: simulator.Fixed}, []float64{10, 69, 69.9, 70, 71}, "++-++"},
		"token bucket":           {simulator.Config{Window: simulator.TokenBucket}, []float64{0, 0, 30, 31, 60}, "+++-+"},
		"whole second is wider":  {simulator.Config{Window: simulator.WholeSecond}, []float64{0.9, 1, 60, 60.5, 61}, "+++-+"},
		"refused count":          {simulator.Config{CountRefused: true}, []float64{0, 1, 2, 60.5, 63}, "++--+"},
		"refused do not count":   {simulator.Config{}, []float64{0, 1, 2, 60.5, 63}, "++-++"},
		"no limit when negative": {simulator.Config{PerMinute: -1}, []float64{0, 0, 0, 0, 0}, "+++++"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			start := clk.now
			tc.cfg.Now = clk.Now
			if tc.cfg.PerMinute == 0 {
				tc.cfg.PerMinute = 2
			}
			c := newClient(simulator.New(tc.cfg))
			got := ""
			for _, sec := range tc.at {
				clk.now = start.Add(time.Duration(sec * float64(time.Second)))
				if c.get("/api/machineactions").status == http.StatusOK {
					got += "+"
				} else {
					got += "-"
				}
			}
			if got != tc.want {
				t.Errorf("calls at %v: %s, want %s", tc.at, got, tc.want)
			}
		})
	}
}

func TestFixedWindowLetsARollingOneOverflow(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{PerMinute: 2, Window: simulator.Fixed, Now: clk.Now})
	c := newClient(s)
	for _, d := range []time.Duration{0, 59 * time.Second, time.Second, 0} {
		clk.forward(d)
		wantStatus(t, c.get("/api/machineactions"), http.StatusOK)
	}
	if v := s.Violations(); len(v) != 1 || !strings.Contains(v[0], "machineactions: 3 calls") {
		t.Errorf("violations %q, want one: three calls within a second over a minute's end", v)
	}
}

func TestQuotaIsOfClassAndApp(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 2, PerMinute: 1, Now: newClock().Now}).Watch(t)
	c := newClient(s)
	other := client{s, s.IssueToken(simulator.TokenOptions{AppID: "11111111-1111-1111-1111-111111111111"})}
	wantStatus(t, c.offboard(s.Machines()[0].ID), http.StatusCreated)
	wantStatus(t, c.get("/api/machineactions"), http.StatusOK)
	wantStatus(t, c.get("/api/machines"), http.StatusOK)
	wantStatus(t, c.get("/api/machineactions/none"), http.StatusTooManyRequests)
	wantStatus(t, other.offboard(s.Machines()[1].ID), http.StatusCreated)
	if got := s.Truth().Calls[simulator.ClassOffboard]; got.Arrived != 2 || got.PeakMinute != 1 {
		t.Errorf("offboard calls %+v, want two that arrived, one of each app", got)
	}
	log := s.Log(simulator.ClassActions)
	if len(log) != 2 || log[0].Throttled || !log[1].Throttled || log[1].Endpoint != simulator.GetAction {
		t.Errorf("log %+v", log)
	}
}

func TestConsumeTakesFromTheQuota(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now}).Watch(t)
	s.Consume(simulator.ClassOffboard, 1000)
	wantStatus(t, newClient(s).offboard(s.Machines()[0].ID), http.StatusTooManyRequests)
	if got := s.Truth().Calls[simulator.ClassOffboard]; got.Arrived != 1 || got.Throttled != 1 {
		t.Errorf("calls %+v: another tool's calls are not the client's", got)
	}
}

func TestClockSetBackIsNoTimePassed(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{PerMinute: 1, Now: clk.Now}).Watch(t)
	c := newClient(s)
	wantStatus(t, c.get("/api/machineactions"), http.StatusOK)
	clk.forward(-time.Hour)
	wantStatus(t, c.get("/api/machineactions"), http.StatusTooManyRequests)
	clk.forward(time.Hour + time.Minute)
	wantStatus(t, c.get("/api/machineactions"), http.StatusOK)
}
