package simulator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// clock is a clock that a test sets forward by hand.
type clock struct{ now time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }
func (c *clock) Now() time.Time          { return c.now }
func (c *clock) forward(d time.Duration) { c.now = c.now.Add(d) }

// answer is what a client saw of one request.
type answer struct {
	status  int
	header  http.Header
	body    string
	aborted bool // the connection ended without an answer
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("body is no object: %v: %q", err, a.body)
	}
	return m
}

// failure returns code and message of the error envelope.
func (a answer) failure(t *testing.T) (code, message string) {
	t.Helper()
	var e struct {
		Error struct{ Code, Message *string }
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error.Code == nil || e.Error.Message == nil {
		t.Fatalf("body is no error envelope: %v: %q", err, a.body)
	}
	return *e.Error.Code, *e.Error.Message
}

// rows returns the value of a list, as ids.
func (a answer) rows(t *testing.T) []string {
	t.Helper()
	var p struct{ Value []struct{ ID string } }
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != http.StatusOK {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	ids := []string{}
	for _, v := range p.Value {
		ids = append(ids, v.ID)
	}
	return ids
}

// client asks a simulator without a network.
type client struct {
	s     *simulator.Simulator
	token string
}

func newClient(s *simulator.Simulator) client {
	return client{s, s.IssueToken(simulator.TokenOptions{})}
}

func (c client) do(method, target, body string) (a answer) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://tenant"+target, content)
	r.Header.Set("Authorization", "Bearer "+c.token)
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			a = answer{aborted: true}
		}
	}()
	c.s.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String(), false}
}

func (c client) get(target string) answer { return c.do(http.MethodGet, target, "") }

func (c client) offboard(machineID string) answer {
	return c.do(http.MethodPost, "/api/machines/"+machineID+"/offboard", `{"Comment":"retired"}`)
}

func wantStatus(t *testing.T, a answer, status int) {
	t.Helper()
	if a.aborted || a.status != status {
		t.Fatalf("status %d (aborted %v), want %d; body %s", a.status, a.aborted, status, a.body)
	}
}

func wantFailure(t *testing.T, a answer, status int, code, message string) {
	t.Helper()
	wantStatus(t, a, status)
	gotCode, gotMessage := a.failure(t)
	if gotCode != code || !strings.Contains(gotMessage, message) {
		t.Errorf("code %q message %q, want %q and %q in it", gotCode, gotMessage, code, message)
	}
}

func text(v any) string { return fmt.Sprint(v) }
