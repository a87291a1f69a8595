//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"offboard/internal/simulator"
	"offboard/journal"
)

// TestSecondSignalDoesNotWaitForTheReceiver: the journal is free while a receiver is
// waited for, the first signal does not cut the post off, and the second ends the
// process at once.
func TestSecondSignalDoesNotWaitForTheReceiver(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 3), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over
	}))
	defer server.Close()
	defer close(over)
	r := newRealTenant(t, simulator.Config{Machines: 1, Seed: 1, SettleAfter: time.Millisecond})
	path := filepath.Join(t.TempDir(), "free.journal")
	s := r.begin(r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", "--journal", path), "OFFBOARD_NOTIFY_URL="+server.URL)
	<-asked
	j, err := journal.Open(path, journal.Tenant{}, journal.Options{})
	if err != nil {
		t.Error(err)
	} else if err := j.Close(); err != nil {
		t.Error(err)
	}
	s.insist(t, time.Minute)
	if code := s.ProcessState.ExitCode(); code != int(exitInterrupted) {
		t.Errorf("exit code %d\n%s", code, &s.stderr)
	}
}
