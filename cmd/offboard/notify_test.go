package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/notify"
	"offboard/internal/simulator"
	"offboard/journal"
)

const noticeHost = "receiver.example"

// diverted sends what is posted to the receiver another way than the rest.
type diverted struct {
	http.RoundTripper
	receiver func(*http.Request) (*http.Response, error)
}

func (d diverted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == noticeHost {
		return d.receiver(r)
	}
	return d.RoundTripper.RoundTrip(r)
}

// telling has a virtual tenant's commands post to a receiver.
func (v *virtualTenant) telling(receiver func(*http.Request) (*http.Response, error)) {
	v.env["OFFBOARD_NOTIFY_URL"] = "https://" + noticeHost + noticeLink
	v.env["OFFBOARD_NOTIFY_SECRET"] = noticeSecret
	v.spoil = func(env *environment, t *http.Transport) { env.transport = diverted{t, receiver} }
}

// takenInto takes a post, and keeps what it was.
func takenInto(s *notify.Summary) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		err := json.NewDecoder(r.Body).Decode(s)
		return &http.Response{StatusCode: http.StatusAccepted, Body: http.NoBody, Request: r}, err
	}
}

// TestNoticeChangesNothing: whatever the receiver does, the command ends with the same
// code and result, ten seconds later at most, and the link is not told.
func TestNoticeChangesNothing(t *testing.T) {
	t.Parallel()
	for name, receiver := range map[string]func(*http.Request) (*http.Response, error){
		"hangs": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"panics": func(r *http.Request) (*http.Response, error) { panic(r.URL.String()) },
		"quotes": func(r *http.Request) (*http.Response, error) { return nil, &quoting{r.URL.String()} },
		"refuses": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusGone, Body: http.NoBody}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			v := newVirtualTenant(t, simulator.Config{Machines: 3, Seed: 1})
			defer v.close()
			v.sim.RemoveMachine(v.sim.Machines()[1].ID)
			v.telling(receiver)
			began := time.Now()
			code, stdout, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--log-level", "trace")
			if code != exitRejected || !strings.Contains(stdout, "2 accepted") || !strings.Contains(stderr, "nobody was notified, which changes nothing else") {
				t.Errorf("%s: exit code %d: %s%s", name, code, stdout, stderr)
			}
			if took := time.Since(began); took > notify.Patience+time.Second {
				t.Errorf("%s: took %s", name, took)
			}
			if strings.Contains(stdout+stderr, "canary") {
				t.Errorf("%s: %s%s", name, stdout, stderr)
			}
		})
	}
}

type quoting struct{ text string }

func (q *quoting) Error() string { return q.text }

// TestToldWhileStopping: a stop does not keep the end from being told, and the run has
// then written its result.
func TestToldWhileStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		var sent atomic.Int64
		v := newVirtualTenant(t, simulator.Config{
			Machines: 20, Seed: 1, Latency: 300 * time.Millisecond,
			Observe: func(r simulator.Request) {
				if r.Endpoint == simulator.Offboard && r.Stage == simulator.Answering && sent.Add(1) == 5 {
					stop(interruption{os.Interrupt})
				}
			},
		})
		defer v.close()
		var told notify.Summary
		v.telling(takenInto(&told))
		code, _, stderr := v.run(ctx, "run", v.list, "--comment", "why", "--yes", "--workers", "1")
		if code != exitInterrupted || !strings.Contains(stderr, `"notified"`) {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if told.Event != notify.Interrupted || told.ExitCode != int(code) || told.Counts["planned"] == 0 || !strings.HasPrefix(told.Next, "offboard resume --campaign machines ") {
			t.Errorf("%+v", told)
		}
		sum := 0
		for _, n := range told.Counts {
			sum += n
		}
		if sum != 20 || told.Calls == nil || told.Calls.Sent != int64(told.Counts["accepted"]) || told.Chain.Length == 0 {
			t.Errorf("%+v", told)
		}
	})
}

// TestToldAfterAPanic: a defect is told as one, without the panic's value.
func TestToldAfterAPanic(t *testing.T) {
	t.Parallel()
	v := newVirtualTenant(t, simulator.Config{Machines: 3, Seed: 1, PerMinute: -1, PerHour: -1})
	defer v.close()
	var told notify.Summary
	v.telling(takenInto(&told))
	divert := v.spoil
	v.spoil = func(env *environment, t *http.Transport) {
		divert(env, t)
		env.opened = func(j *journal.Journal) {
			_ = j.Close()
			panic(panicSecret)
		}
	}
	code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes")
	if code != exitUnexpected || told.Event != notify.Failed || told.ExitCode != int(code) || !strings.Contains(told.ExitReason, "a defect in the program") {
		t.Errorf("exit code %d, %+v: %s", code, told, stderr)
	}
	if strings.Contains(told.ExitReason+stderr, panicSecret) {
		t.Errorf("%+v: %s", told, stderr)
	}
}

// TestWorthTelling: every exit code has an event but the one of a run that another is
// in the way of; and what is told to nobody.
func TestWorthTelling(t *testing.T) {
	t.Parallel()
	for _, m := range meanings {
		if m.code == exitWork {
			continue // of plan
		}
		if event := eventOf(m.code); (event == "") != (m.code == exitLocked) {
			t.Errorf("%d: %q", m.code, event)
		}
	}
	for _, c := range []struct {
		command           string
		event             notify.Event
		interactive       bool
		waiting, accepted int
		want              bool
	}{
		{"run", notify.Ended, false, unknownWaiting, 3, true},
		{"run", notify.Ended, true, unknownWaiting, 0, true},
		{"run", "", false, unknownWaiting, 0, false},
		{"run", notify.Refused, false, unknownWaiting, 0, true},
		{"run", notify.Refused, true, unknownWaiting, 0, false},
		{"run", notify.StoppedByGuard, true, unknownWaiting, 0, true},
		{"follow", notify.Ended, false, 3, 1, false},
		{"follow", notify.Ended, false, 3, 0, true},
		{"follow", notify.Ended, false, 0, 0, false},
		{"follow", notify.Ended, false, unknownWaiting, 0, true},
		{"follow", notify.Unreachable, false, 3, 3, true},
		{"follow", notify.SignInFailed, false, unknownWaiting, 0, true},
	} {
		n := notice{cmd: &cobra.Command{Use: c.command}, waiting: c.waiting}
		n.summary.Counts = map[string]int{"accepted": c.accepted}
		if got := n.worthTelling(c.event, c.interactive); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}
