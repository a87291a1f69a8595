package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
	"offboard/journal"
)

// stagedTenant is a virtual tenant of so many machines that answers at once.
func stagedTenant(t *testing.T, machines int, settle time.Duration) *virtualTenant {
	t.Helper()
	return newVirtualTenant(t, simulator.Config{Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, SettleAfter: settle})
}

// sent checks how many machines were offboarded, each by one action.
func (v *virtualTenant) sent(want int) {
	v.t.Helper()
	if n, effects := v.sim.Effects(); n != want || effects != want {
		v.t.Errorf("%d machines by %d actions; want %d", n, effects, want)
	}
}

// stagedRun are the arguments of a campaign whose first wave is two machines.
func (v *virtualTenant) stagedRun(args ...string) []string {
	return append([]string{"run", v.list, "--comment", "why", "--yes", "--waves", "2,100%"}, args...)
}

// TestTimeIsUpBetweenWaves: a run whose time ends in a pause ends with 6, and the
// next one waits for the rest of the pause.
func TestTimeIsUpBetweenWaves(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string][]string{
		"--max-duration": {"--max-duration", "1h"},
		"--window":       {"--window", "00:00-01:00", "--time-zone", "UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := stagedTenant(t, 4, -1)
				defer v.close()
				began := time.Now() // midnight
				code, stdout, stderr := v.run(t.Context(), v.stagedRun(append(bounds, "--wave-pause", "3h")...)...)
				if took := time.Since(began); code != exitBudget || took < 59*time.Minute || took > 61*time.Minute ||
					!strings.Contains(stderr, "nothing is begun after") || !strings.Contains(stdout, "wave 2 begins not before 2000-01-01T03:00:") {
					t.Fatalf("exit code %d after %s: %s%s", code, took, stdout, stderr)
				}
				v.sent(2)
				<-time.After(30 * time.Minute)
				if name == "--window" {
					if code, _, stderr := v.run(t.Context(), append([]string{"resume"}, bounds...)...); code != exitBudget || !strings.Contains(stderr, "outside --window") {
						t.Fatalf("exit code %d: %s", code, stderr)
					}
				}
				code, _, stderr = v.run(t.Context(), "resume")
				if took := time.Since(began); code != exitOK || took < 3*time.Hour || took > 3*time.Hour+2*time.Minute {
					t.Errorf("exit code %d after %s: %s", code, took, stderr)
				}
				v.sent(4)
			})
		})
	}
}

// typing is a terminal on which somebody types a line whenever one is read.
type typing struct{ lines []string }

func (t *typing) Read(p []byte) (int, error) {
	if len(t.lines) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.lines[0]+"\n")
	t.lines = t.lines[1:]
	return n, nil
}

// TestWaveIsConfirmedOnATerminal by the number of its machines, and by nothing else.
func TestWaveIsConfirmedOnATerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed []string
		want  exitCode
		sent  int
		says  string
	}{
		"each wave":     {[]string{"5", "1", "2"}, exitOK, 5, "Wave 3 of 3 will offboard 2 machines"},
		"all of them":   {[]string{"5", "5"}, exitBudget, 2, ` is not 1"`},
		"yes":           {[]string{"5", "1", "y"}, exitBudget, 3, `--approve-wave=3`},
		"then it hangs": {[]string{"5"}, exitBudget, 2, "wave 2 of 3 is not begun"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := stagedTenant(t, 5, -1)
				defer v.close()
				v.spoil = func(e *environment, _ *http.Transport) { e.interactive, e.stdin = true, &typing{c.typed} }
				code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--waves", "2,3,100%", "--wave-confirm")
				if code != c.want || !strings.Contains(stderr, c.says) {
					t.Errorf("exit code %d: %s", code, stderr)
				}
				v.sent(c.sent)
			})
		})
	}
}

// TestNobodyTypes: a wave that nobody confirms ends with the run's time, or with the
// run.
func TestNobodyTypes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := stagedTenant(t, 4, -1)
		defer v.close()
		stdin, hangUp := io.Pipe()
		defer hangUp.Close()
		v.spoil = func(e *environment, _ *http.Transport) { e.interactive, e.stdin = true, stdin }
		began := time.Now()
		code, _, stderr := v.run(t.Context(), v.stagedRun("--wave-confirm", "--max-duration", "1h")...)
		if took := time.Since(began); code != exitBudget || took.Round(time.Minute) != time.Hour || !strings.Contains(stderr, "nothing is begun after") {
			t.Errorf("exit code %d after %s: %s", code, took, stderr)
		}
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Hour, func() { stop(interruption{os.Interrupt}) })
		if code, _, stderr := v.run(ctx, "resume"); code != exitInterrupted {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		v.sent(2)
	})
}

// TestWaveOfSleepers: a device that is off holds nothing up where others have acted,
// but where nobody has been seen nothing has succeeded. One that comes back counts
// until it has not been seen for two days again.
func TestWaveOfSleepers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen        time.Duration // when the second device comes back, before that moment; negative: never
		timeout     string
		want        exitCode
		sent        int
		least, most time.Duration
	}{
		"stays off":                {-1, "6h", exitOK, 4, 2 * time.Hour, 150 * time.Minute},
		"comes back and waits":     {0, "4h", exitGuard, 2, 4 * time.Hour, 250 * time.Minute},
		"comes back and goes away": {45 * time.Hour, "6h", exitOK, 4, 4 * time.Hour, 5 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := stagedTenant(t, 4, 2*time.Hour)
				defer v.close()
				asleep := v.sim.Machines()[:2]
				for i := range asleep {
					asleep[i].LastSeen, asleep[i].Offline = time.Now().Add(-240*time.Hour), i == 1
					v.sim.AddMachine(asleep[i])
				}
				if c.seen >= 0 {
					time.AfterFunc(time.Hour, func() { asleep[1].LastSeen = time.Now().Add(-c.seen); v.sim.AddMachine(asleep[1]) })
				}
				began := time.Now()
				code, _, stderr := v.run(t.Context(), v.stagedRun("--wave-until-succeeded", "90%", "--wave-timeout", c.timeout)...)
				if took := time.Since(began); code != c.want || took < c.least || took > c.most {
					t.Errorf("exit code %d after %s: %s", code, took, stderr)
				}
				v.sent(c.sent)
			})
		})
	}
}

// TestDoorBetweenWaves: who asks is told what is waited for, and until when. A run
// that is paused sends no wave, and one that is stopped in the wait leaves the rest
// of it.
func TestDoorBetweenWaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := withDoors(stagedTenant(t, 6, -1))
		defer v.close()
		ask := func(args ...string) string {
			t.Helper()
			code, stdout, stderr := v.run(t.Context(), args...)
			if code != exitOK {
				t.Errorf("%q: exit code %d: %s", args, code, stderr)
			}
			return stdout
		}
		began := time.Now()
		run := v.begin("run", v.list, "--comment", "why", "--yes", "--waves", "2,4,100%", "--wave-pause", "2h")
		<-time.After(time.Hour)
		var r result
		if err := json.Unmarshal([]byte(ask("status", "--output", "json")), &r); err != nil {
			t.Fatal(err)
		}
		if w := r.Waves; w == nil || w.Open != 1 || w.Of != 3 || w.NextAt == nil || w.NextAt.Sub(began).Round(time.Minute) != 2*time.Hour ||
			!slices.Equal(w.WaitingFor, []string{"pause"}) || len(w.Waves) != 3 || w.Waves[1].Planned != 2 || w.Waves[0].Planned != 0 {
			t.Errorf("%+v", w)
		}
		if w := r.Running; w.EndsAt != nil || w.Waiting == nil || w.Waiting.Reason != "wave 2: the pause" || w.Waiting.Until.Sub(began).Round(time.Minute) != 2*time.Hour {
			t.Errorf("%+v", w)
		}
		ask("pause")
		if words := ask("status"); !strings.Contains(words, "held since") || !strings.Contains(words, "wave 2 begins not before") || strings.Contains(words, "all sent by") {
			t.Error(words)
		}
		<-time.After(3 * time.Hour)
		v.sent(2)
		r = result{}
		if err := json.Unmarshal([]byte(ask("status", "--output", "json")), &r); err != nil || r.Waves == nil || r.Waves.Open != 1 {
			t.Errorf("wave %+v was released while the run is paused: %v", r.Waves, err)
		}
		ask("unpause")
		<-time.After(time.Hour) // of the second pause
		v.sent(4)
		ask("stop", "--wait")
		if e := <-run; e.code != exitTerminated {
			t.Errorf("exit code %d: %s", e.code, e.stderr)
		}
		ask("resume")
		if took := time.Since(began); took < 6*time.Hour || took > 6*time.Hour+5*time.Minute {
			t.Errorf("took %s", took)
		}
		v.sent(6)
	})
}

// TestRetryInAPause: a machine of a wave that has ended is sent again, and the next
// wave keeps its distance from that request, even if the process is killed behind it.
func TestRetryInAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j atomic.Pointer[journal.Journal]
		var looked atomic.Int64
		v := newVirtualTenant(t, simulator.Config{
			Machines: 4, Seed: 1, Latency: 300 * time.Millisecond, SettleAfter: -1,
			Observe: func(r simulator.Request) {
				if r.Endpoint != simulator.Offboard || r.Stage != simulator.Arrived {
					return
				}
				looked.Add(1)
				c, err := j.Load().Campaign("machines")
				var agreed rules
				if err == nil {
					agreed, err = rulesOf(c.Info())
				}
				if err != nil || !agreed.Waves.Progress.Ended.IsZero() {
					t.Errorf("a request while the journal has the wave ended: %+v, %v", agreed.Waves, err)
				}
			},
		})
		defer v.close()
		v.spoil = func(e *environment, _ *http.Transport) { e.opened = func(opened *journal.Journal) { j.Store(opened) } }
		interrupted := func(after time.Duration, args ...string) {
			t.Helper()
			ctx, stop := context.WithCancelCause(t.Context())
			time.AfterFunc(after, func() { stop(interruption{os.Interrupt}) })
			if code, _, stderr := v.run(ctx, args...); code != exitInterrupted {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
		}
		refused := v.sim.Machines()[0]
		refused.Refuse = "OsPlatformNotSupported"
		v.sim.AddMachine(refused)
		interrupted(time.Hour, v.stagedRun("--wave-pause", "2h")...)
		v.sent(1)
		refused.Refuse = ""
		v.sim.AddMachine(refused)
		retried := time.Now()
		interrupted(30*time.Minute, "run", v.list, "--yes", "--retry", "rejected")
		v.sent(2)
		code, _, stderr := v.run(t.Context(), "resume")
		if took := time.Since(retried); code != exitOK || took < 2*time.Hour || took > 2*time.Hour+5*time.Minute {
			t.Errorf("exit code %d, %s after the retry: %s", code, took, stderr)
		}
		v.sent(4)
		if looked.Load() != 5 {
			t.Errorf("%d requests", looked.Load())
		}
	})
}

// TestLookIsRefusedBetweenWaves: who may no longer look does not begin a wave that
// waits for success.
func TestLookIsRefusedBetweenWaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := stagedTenant(t, 4, 24*time.Hour)
		defer v.close()
		if code, _, stderr := v.run(t.Context(), v.stagedRun("--wave-until-succeeded", "90%", "--max-duration", "1h")...); code != exitBudget {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		v.env["OFFBOARD_TOKEN"] = v.sim.IssueToken(simulator.TokenOptions{Life: 100 * time.Hour, Roles: []string{"Machine.Offboard"}})
		if code, _, stderr := v.run(t.Context(), "resume"); code != exitSignIn {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		v.sent(2)
		if code, _, stderr := v.run(t.Context(), "resume", "--approve-wave", "2"); code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		v.sent(4)
	})
}
