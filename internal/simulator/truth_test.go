package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

// recorder stands in for a test that is watched.
type recorder struct {
	cleanup []func()
	errors  []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestWatchFailsATestByAViolation(t *testing.T) {
	t.Parallel()
	for _, sent := range []int{1, 2} {
		var r recorder
		s := simulator.New(simulator.Config{Machines: 1, AcceptDuplicates: true, Now: newClock().Now}).Watch(&r)
		for range sent {
			newClient(s).offboard(s.Machines()[0].ID)
		}
		for _, f := range r.cleanup {
			f()
		}
		if len(r.errors) != sent-1 {
			t.Errorf("%d effects: errors %q", sent, r.errors)
		}
	}
}

// TestManyWorkersInVirtualTime is also the proof that a campaign of hours runs inside a bubble: eight
// workers send a call each 2.4 s on the whole, which is what the hourly quota allows.
func TestManyWorkersInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls, workers = 1600, 8
		s := simulator.New(simulator.Config{Machines: calls, Latency: 300 * time.Millisecond, Jitter: 100 * time.Millisecond, TokenLife: 24 * time.Hour}).Watch(t)
		c, m := dial(t, s), s.Machines()
		c.Transport.(*http.Transport).MaxIdleConnsPerHost = workers
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < calls; i += workers {
					if status, body, err := c.offboard(t.Context(), m[i].ID); err != nil || status != http.StatusCreated {
						t.Errorf("call %d: status %d, error %v, body %s", i, status, err, body)
						return
					}
					<-time.After(workers*2400*time.Millisecond + time.Second)
				}
			})
		}
		wg.Wait()
		ct := s.Truth().Calls[simulator.ClassOffboard]
		if machines, effects := s.Effects(); machines != calls || effects != calls || ct.Throttled != 0 || ct.Arrived != calls {
			t.Errorf("%d machines, %d effects, calls %+v", machines, effects, ct)
		}
		if ct.PeakHour < 1300 || ct.PeakHour > 1500 || ct.PeakMinute > 32 {
			t.Errorf("peaks %+v: the quota allows 1500 an hour", ct)
		}
	})
}

func TestCallsOfAllWorkersAreCounted(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, Faults: []simulator.Fault{{Kind: simulator.DropAfter, Every: 7}}}).Watch(t)
	c, id := newClient(s), s.Machines()[0].ID
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			for range 5 {
				c.offboard(id)
				s.Log(simulator.ClassOffboard)
			}
		})
	}
	wg.Wait()
	truth := s.Truth()
	if m := truth.Machines[id]; m.Requests != 200 || m.Effects != 1 || len(m.ActionIDs) != 1 {
		t.Errorf("machine %+v, want 200 requests and 1 effect", m)
	}
	want := simulator.CallTruth{Arrived: 200, Throttled: 100, PeakMinute: 200, PeakHour: 200}
	if got := truth.Calls[simulator.ClassOffboard]; got != want || truth.Faults[simulator.DropAfter] != 28 {
		t.Errorf("calls %+v, faults %v; want %+v and 28 drops", got, truth.Faults, want)
	}
}

func TestConfigHasItsDefaults(t *testing.T) {
	t.Parallel()
	got := simulator.New(simulator.Config{PerHour: -1}).Config()
	if got.PerMinute != 100 || got.PerHour != -1 || got.TenantID == "" || got.ClientID == "" || got.ClientSecret == "" ||
		got.TokenLife != time.Hour || got.PageSize != 10_000 || strings.Join(got.Roles, " ") != "Machine.Offboard Machine.Read.All" {
		t.Errorf("config %+v", got)
	}
}

// TestCancelRace: an action that is cancelled while the device is at it says so,
// and is carried out all the same.
func TestCancelRace(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 2, SettleAfter: 20 * time.Second, CancelRace: 5 * time.Second, PerMinute: 2, Now: clk.Now}).Watch(t)
	c := newClient(s)
	ids := []string{s.Machines()[0].ID, s.Machines()[1].ID}
	cancel := func(machine string) {
		action := s.Truth().Machines[machine].ActionIDs[0]
		wantStatus(t, c.do(http.MethodPost, "/api/machineactions/"+action+"/cancel", `{"Comment":"x"}`), http.StatusOK)
	}
	for _, id := range ids {
		wantStatus(t, c.offboard(id), http.StatusCreated)
	}
	cancel(ids[0])
	clk.forward(16 * time.Second)
	cancel(ids[1])
	clk.forward(time.Hour)
	truth := s.Truth()
	for i, id := range ids {
		if m := truth.Machines[id]; len(m.Cancelled) != 1 || m.Done != (i == 1) {
			t.Errorf("machine %d: %+v", i, m)
		}
	}
	if got := truth.Calls[simulator.ClassCancel]; got.Arrived != 2 || got.Throttled != 0 {
		t.Errorf("calls to cancel: %+v", got)
	}
}
