package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
	"offboard/runner"
)

// storm is the time during which the service answers 429, whatever the quota.
const storm = 10 * time.Minute

// squall is what the service answers during a storm, and the shortest pause that
// follows from it: a second is added to what it asks for, a minute is what those
// get who say nothing of use, and an hour is the most.
type squall struct {
	fault simulator.Fault
	pause time.Duration
}

func squalls() map[string]squall {
	const silent = 61 * time.Second
	before := time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC).Format(http.TimeFormat) // a bubble begins with 2000
	within := time.Date(2000, 1, 1, 0, 5, 0, 0, time.UTC).Format(http.TimeFormat)
	return map[string]squall{
		"says nothing":       {simulator.Fault{}, silent},
		"names the minute":   {simulator.Fault{Period: time.Minute}, silent},
		"30 seconds":         {simulator.Fault{Wait: 30 * time.Second, Period: time.Minute}, 31 * time.Second},
		"every other":        {simulator.Fault{Wait: 5 * time.Second, Probability: 0.5}, 6 * time.Second},
		"a date in the past": {simulator.Fault{RetryAfter: before}, silent},
		"a date":             {simulator.Fault{RetryAfter: within}, silent},
		"garbage":            {simulator.Fault{RetryAfter: "soon; very soon"}, silent},
		"zero":               {simulator.Fault{RetryAfter: "0"}, silent},
		"negative":           {simulator.Fault{RetryAfter: "-30"}, silent},
		"a day":              {simulator.Fault{RetryAfter: "86400"}, time.Hour + time.Second},
		"lists as well":      {simulator.Fault{RetryAfter: "60", Endpoint: simulator.AnyEndpoint}, 61 * time.Second},
	}
}

// bound is the most calls that a storm may answer with 429: those that were in
// flight at its first one, and one for each pause, since the pace is even after a
// pause and leaves more time between two calls than one takes; the last pause may
// begin with the storm's last moment.
func (q squall) bound() int {
	return runner.DefaultWorkers + int(storm/q.pause) + 1
}

func newStormTenant(t *testing.T, machines int, seed int64, f simulator.Fault) *virtualTenant {
	t.Helper()
	f.Kind, f.Until = simulator.Throttle, storm
	return newVirtualTenant(t, simulator.Config{
		Machines: machines, Seed: seed, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond, Faults: []simulator.Fault{f},
	})
}

// weathered says what is wrong with the way in which a client came through a
// storm, nil if nothing is.
func (v *virtualTenant) weathered(machines, most int) error {
	truth := v.sim.Truth()
	for class, calls := range truth.Calls {
		if calls.Throttled > most {
			return fmt.Errorf("%s: %d calls were answered 429, at most %d should be", class, calls.Throttled, most)
		}
		if calls.PeakMinute > 100 {
			return fmt.Errorf("%s: %d calls in a minute", class, calls.PeakMinute)
		}
	}
	if n, effects := v.sim.Effects(); n != machines || effects != machines {
		return fmt.Errorf("%d machines offboarded by %d actions, want %d", n, effects, machines)
	}
	return nil
}

// TestStorms carries campaigns out against a service that answers 429 for ten
// minutes: the calls meanwhile are bounded, the run ends, and no machine is lost
// or rejected by it.
func TestStorms(t *testing.T) {
	t.Parallel()
	machines := proof.Cases(40, 200)
	row := proof.Row{Promise: proof.WithinLimits, Harness: "429 storms", Controls: 1}
	for name, q := range squalls() {
		for seed := range int64(proof.Cases(1, 10)) {
			synctest.Test(t, func(t *testing.T) {
				throttled, err := q.strike(t, machines, seed)
				t.Logf("%s, seed %d: %d × 429, at most %d", name, seed, throttled, q.bound())
				row.Cases++
				row.Faults += throttled
				if err != nil {
					t.Errorf("%s, seed %d: %v", name, seed, err)
					row.Violations++
				}
			})
		}
	}
	synctest.Test(t, func(t *testing.T) {
		q := squalls()["30 seconds"]
		v := newStormTenant(t, machines, 0, q.fault)
		defer v.close()
		v.fireAndObeyNothing()
		throttled := v.sim.Truth().Faults[simulator.Throttle]
		t.Logf("control: %d × 429", throttled)
		if throttled > q.bound() {
			row.Caught++
		}
	})
	proof.Report(t, row)
}

// strike carries a campaign out in such a storm. It returns how many calls were
// answered 429, and what was wrong.
func (q squall) strike(t *testing.T, machines int, seed int64) (throttled int, err error) {
	t.Helper()
	v := newStormTenant(t, machines, seed, q.fault)
	defer v.close()
	began := time.Now()
	code, stdout, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes")
	took := time.Since(began)
	err = v.weathered(machines, q.bound())
	said := strings.Contains(stderr, string(runner.EventThrottled))
	asked, made := strings.Contains(stderr, "24h0m0s"), strings.Contains(stderr, `"paused_until":"2000-01-01T01:00:0`)
	switch longest := max(storm, q.pause) + 10*time.Minute; {
	case err != nil:
	case code != exitOK || !said:
		err = fmt.Errorf("exit code %d: %s%s", code, stdout, stderr)
	case took > longest:
		err = fmt.Errorf("took %s, more than %s", took, longest)
	case q.pause > time.Hour && (!asked || !made):
		err = fmt.Errorf("the wait that was asked for and the one that is made are not shown: %s", stderr)
	}
	return v.sim.Truth().Faults[simulator.Throttle], err
}

// fireAndObeyNothing is a client that tries each machine until it is done, within
// the quota but whatever a 429 says: the control. A minute of it is enough.
func (v *virtualTenant) fireAndObeyNothing() {
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: v.pipe.DialContext}}
	defer client.CloseIdleConnections()
	pace := time.NewTicker(700 * time.Millisecond)
	defer pace.Stop()
	for _, m := range v.sim.Machines() {
		for status := 0; status != http.StatusCreated; {
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			status = v.post(ctx, client, m.ID)
		}
	}
}

// post asks once to offboard a machine and returns the status, 0 without one.
func (v *virtualTenant) post(ctx context.Context, client *http.Client, id string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.env["OFFBOARD_API_URL"]+"/api/machines/"+id+"/offboard", strings.NewReader(`{"Comment":"why"}`))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+v.env["OFFBOARD_TOKEN"])
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestQuotaThatAnotherClientEats has another tool make 20 calls a minute with the
// same app. With its part of the quota left to it no call is refused; without, few
// are, since the pace is even after the first.
func TestQuotaThatAnotherClientEats(t *testing.T) {
	t.Parallel()
	const machines = 300
	for _, c := range []struct {
		share string
		most  int
	}{{"0.8", 0}, {"1", machines / 20}} {
		synctest.Test(t, func(t *testing.T) {
			v := newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond})
			defer v.close()
			ctx, end := context.WithCancel(t.Context())
			var other sync.WaitGroup
			other.Go(func() { v.eat(ctx) })
			began := time.Now()
			code, stdout, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--share", c.share)
			end()
			other.Wait()
			calls := v.sim.Truth().Calls[simulator.ClassOffboard]
			t.Logf("share %s: %d of %d calls refused in %s", c.share, calls.Throttled, calls.Arrived, time.Since(began).Round(time.Second))
			if err := v.weathered(machines, c.most); err != nil {
				t.Error(err)
			}
			if code != exitOK {
				t.Errorf("exit code %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// eat makes another tool's calls until the context ends.
func (v *virtualTenant) eat(ctx context.Context) {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			v.sim.Consume(simulator.ClassOffboard, 1)
		}
	}
}
