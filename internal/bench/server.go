package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"offboard/internal/simulator"
)

// server answers every offboard call at once, and knows when the first and the
// last came.
type server struct {
	url   string
	token string
	http  *http.Server

	mu          sync.Mutex
	calls       int
	first, last time.Time
}

// serve begins to serve on loopback. The token is one of a simulated tenant,
// since the command reads what its token says.
func serve() (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback listens at once
	if err != nil {
		return nil, err
	}
	s := &server{
		url:   "http://" + l.Addr().String(),
		token: simulator.New(simulator.Config{}).IssueToken(simulator.TokenOptions{Life: 100 * time.Hour}),
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/machines/"), "/offboard")
	if !ok {
		_, _ = io.WriteString(w, `{"@odata.context":"","value":[]}`)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, action(id, s.count()))
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if s.calls++; s.calls == 1 {
		s.first = s.last
	}
	return s.calls
}

// reset forgets the calls so far.
func (s *server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = 0
}

// rate returns the calls a second from the first to the last.
func (s *server) rate() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.calls-1) / s.last.Sub(s.first).Seconds()
}

// began returns when the first call came since the last reset.
func (s *server) began() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// action is a MachineAction as the service words it.
func action(machineID string, n int) string {
	return fmt.Sprintf(`{"@odata.context":"https://api.securitycenter.microsoft.com/api/$metadata#MachineActions/$entity",`+
		`"id":"5382f7ea-7557-4ab7-9782-%012x","type":"Offboard","title":null,"requestor":"c9d2b6f0-71a3-4e55-8b0c-64e1f7a2d38b",`+
		`"requestorComment":"CHG-4711 retired","status":"Pending","machineId":%q,"computerDnsName":"pc-%07d.corp.example.com",`+
		`"creationDateTimeUtc":"2026-08-01T10:00:00.1234567Z","lastUpdateDateTimeUtc":"2026-08-01T10:00:00.1234567Z",`+
		`"cancellationRequestor":null,"cancellationComment":null,"cancellationDateTimeUtc":null,"errorHResult":0,"scope":null,`+
		`"externalId":null,"requestSource":"PublicApi","relatedFileInfo":null,"commands":[],"troubleshootInfo":null}`, n, machineID, n)
}

// environment are the settings with which the command speaks to the server.
func (s *server) environment(state string) []string {
	return []string{
		"AZURE_TENANT_ID=" + simulator.DefaultTenantID, "OFFBOARD_AUTH=token", "OFFBOARD_TOKEN=" + s.token,
		"OFFBOARD_API_URL=" + s.url, "OFFBOARD_STATE_DIR=" + state,
	}
}
