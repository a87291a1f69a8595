package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"offboard/internal/ratio"
	"offboard/internal/simulator"
)

// windowKinds are the ways in which a server may count.
var windowKinds = []struct {
	name string
	kind simulator.Window
}{{"sliding", simulator.Sliding}, {"fixed", simulator.Fixed}, {"token bucket", simulator.TokenBucket}}

func makespanTenant(machines int, kind simulator.Window) simulator.Config {
	return simulator.Config{Machines: machines, Seed: 1, Window: kind, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond}
}

// TestMakespans measures whole campaigns in virtual time against the exact lower
// bound and against what people do now. The bound is that of the documented
// limits, which hold for every window: a server that counts with a bucket would
// allow less time, but nobody knows that it does.
func TestMakespans(t *testing.T) {
	if !ratio.Long() {
		t.Skip("TestVirtualCampaigns guards this; `make bench` measures it")
	}
	for _, c := range []struct {
		machines int
		atMost   float64
	}{{50, 0}, {100, 0}, {500, 1.05}, {1500, 1.04}, {3000, 1.01}, {10_000, 1.005}, {50_000, 1.005}} {
		for _, w := range windowKinds {
			t.Run(fmt.Sprint(c.machines, " ", w.name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					config := makespanTenant(c.machines, w.kind)
					took, calls := virtualCampaignOf(t, config)
					row := ratio.Row{
						What:      fmt.Sprintf("makespan of %s, %s window", plural(c.machines, "machine"), w.name),
						Reference: "lower bound, unlimited workers",
						Measured:  took.Seconds() / (earliest(c.machines) + fastest).Seconds(),
						AtMost:    c.atMost,
						Note:      fmt.Sprintf("%s; %d × 429", took.Round(time.Second/10), calls.Throttled),
					}
					if c.atMost == 0 {
						row.Reference = "a plain loop with as many workers"
						row.Measured, row.AtMost = took.Seconds()/plainLoop(t, config).Seconds(), 1.5
					}
					ratio.Report(t, row)
				})
			})
		}
	}
}

// plainLoop is what workers and latency dictate: no quota, no journal, the default
// number of workers.
func plainLoop(t *testing.T, c simulator.Config) time.Duration {
	t.Helper()
	c.PerMinute, c.PerHour = -1, -1
	took, _ := campaignBy(t, c, 8, retrying(func() {}))
	return took
}

// client makes one machine's call; it may try several times.
type client func(post func() *http.Response) (throttled int)

// retrying is a client that waits before every call and obeys Retry-After.
func retrying(wait func()) client {
	return func(post func() *http.Response) (throttled int) {
		for {
			wait()
			r := post()
			if r.StatusCode != http.StatusTooManyRequests {
				return throttled
			}
			throttled++
			seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
			if err != nil {
				seconds = 60
			}
			<-time.After(time.Duration(seconds) * time.Second)
		}
	}
}

// buckets waits for two plain rate limiters whose burst is the limit, as most
// programs with these limits do.
func buckets(t *testing.T) func() {
	t.Helper()
	minute, hour := rate.NewLimiter(rate.Every(time.Minute/100), 100), rate.NewLimiter(rate.Every(time.Hour/1500), 1500)
	return func() {
		if err := minute.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if err := hour.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestMakespansOfOthers runs what people use instead against the same server.
func TestMakespansOfOthers(t *testing.T) {
	if !ratio.Long() {
		t.Skip("measured by `make bench`")
	}
	for _, n := range []int{500, 1500, 3000, 10_000} {
		var ours time.Duration
		synctest.Test(t, func(t *testing.T) { ours, _ = virtualCampaignOf(t, makespanTenant(n, simulator.Sliding)) })
		for _, o := range []struct {
			name    string
			workers int
			client  func(*testing.T) client
		}{
			{"a script with sleeps of 0.6 s", 1, func(*testing.T) client { return retrying(func() { <-time.After(600 * time.Millisecond) }) }},
			{"a script with sleeps of 2.4 s", 1, func(*testing.T) client { return retrying(func() { <-time.After(2400 * time.Millisecond) }) }},
			{"send, and retry on 429", 8, func(*testing.T) client { return retrying(func() {}) }},
			{"two x/time/rate buckets, retry on 429", 8, func(t *testing.T) client { t.Helper(); return retrying(buckets(t)) }},
		} {
			synctest.Test(t, func(t *testing.T) {
				took, throttled := campaignBy(t, makespanTenant(n, simulator.Sliding), o.workers, o.client(t))
				ratio.Report(t, ratio.Row{
					What: fmt.Sprintf("makespan of %s", plural(n, "machine")), Reference: o.name,
					Measured: ours.Seconds() / took.Seconds(), AtMost: 1,
					Note: fmt.Sprintf("%s and no 429, against %s and %d × 429", ours.Round(time.Second), took.Round(time.Second), throttled),
				})
			})
		}
	}
}

// campaignBy offboards every machine of a tenant with a bare client, and returns
// how long that took and how many calls were refused.
func campaignBy(t *testing.T, c simulator.Config, workers int, one client) (time.Duration, int64) {
	t.Helper()
	sim := simulator.New(c)
	pipe := simulator.NewPipe(sim)
	transport := &http.Transport{DialContext: pipe.DialContext, MaxIdleConnsPerHost: workers}
	defer func() {
		transport.CloseIdleConnections()
		_ = pipe.Close()
	}()
	token := sim.IssueToken(simulator.TokenOptions{Life: 100 * time.Hour})
	machines := sim.Machines()
	began := time.Now()
	var next, throttled atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(machines)); n = next.Add(1) - 1 {
				id := machines[n].ID
				throttled.Add(int64(one(func() *http.Response { return postOffboard(t, transport, token, id) })))
			}
		})
	}
	group.Wait()
	return time.Since(began), throttled.Load()
}

// postOffboard makes the call; its answer's body has been read.
func postOffboard(t *testing.T, transport *http.Transport, token, id string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/api/machines/"+id+"/offboard", strings.NewReader(`{"Comment":"why"}`))
	if err != nil {
		t.Error(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return &http.Response{StatusCode: http.StatusTeapot}
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	return response
}

// TestFollowInRounds counts the calls of each look at 10,000 actions. A look
// comes at least half a minute after the one before.
func TestFollowInRounds(t *testing.T) {
	if !ratio.Long() {
		t.Skip("measured by `make bench`")
	}
	synctest.Test(t, func(t *testing.T) {
		const machines = 10_000
		c := makespanTenant(machines, simulator.Sliding)
		c.Offline, c.SettleAfter = 0.1, time.Hour
		v := newVirtualTenant(t, c)
		defer v.close()
		if code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		before := len(v.sim.Log(simulator.ClassActions))
		if code, _, stderr := v.run(t.Context(), "follow"); code != exitRejected {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		calls := v.sim.Log(simulator.ClassActions)[before:]
		rounds, inRound, most := 0, 0, 0
		var last time.Time
		for _, call := range calls {
			if call.Time.Sub(last) > 20*time.Second {
				rounds, inRound = rounds+1, 0
			}
			inRound, last = inRound+1, call.Time
			most = max(most, inRound)
		}
		ratio.Report(t, ratio.Row{
			What: "follow 10,000 actions to their end", Reference: "calls a round", Measured: float64(most), AtMost: 3,
			Note: fmt.Sprintf("the most of any round; %d rounds, %d calls", rounds, len(calls)),
		})
	})
}
