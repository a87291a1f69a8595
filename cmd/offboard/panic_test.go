package main

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

const panicSecret = "canary-77aa01-panic"

// rotten is a transport that panics after the answer to its third offboard
// request, in the goroutine of whoever sent it.
type rotten struct {
	http.RoundTripper
	posts atomic.Int64
}

func (r *rotten) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if req.Method == http.MethodPost && r.posts.Add(1) == 3 {
		panic(panicSecret)
	}
	return resp, err
}

// TestPanicInAWorker: the process ends with code 1, says how to go on and keeps
// the panic's value to itself; the resume does the rest.
func TestPanicInAWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 20, Seed: 1, Latency: 300 * time.Millisecond, AcceptDuplicates: true, SettleAfter: -1})
		defer v.close()
		transport := &http.Transport{DialContext: v.pipe.DialContext}
		defer transport.CloseIdleConnections()
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"run", v.list, "--comment", "why", "--yes", "--workers", "4"}, environment{
			stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
			getenv:    func(name string) string { return v.env[name] },
			transport: &rotten{RoundTripper: transport},
		})
		said := stdout.String() + stderr.String()
		if code != exitUnexpected || !strings.Contains(said, "offboard resume --campaign machines") || !strings.Contains(said, "a defect in the program") {
			t.Errorf("exit code %d: %s", code, said)
		}
		if strings.Contains(said, panicSecret) {
			t.Errorf("the value of the panic was told: %s", said)
		}
		if code, _, stderr := v.run(t.Context(), "resume"); code != exitOK {
			t.Errorf("resume: exit code %d: %s", code, stderr)
		}
		if machines, effects := v.sim.Effects(); machines != 20 || effects != 20 {
			t.Errorf("%d machines, %d effects", machines, effects)
		}
	})
}

// TestPanicInACommand: no panic ends the process with a code that says something
// else.
func TestPanicInACommand(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"status"}, environment{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string {
			if strings.HasPrefix(name, "OFFBOARD_") {
				panic(panicSecret)
			}
			return ""
		},
	})
	said := stdout.String() + stderr.String()
	if code != exitUnexpected || !strings.Contains(said, "a defect in the program") || strings.Contains(said, panicSecret) {
		t.Errorf("exit code %d: %s", code, said)
	}
}
