package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// received is what has arrived.
type received struct {
	mu      sync.Mutex
	headers []http.Header
	bodies  [][]byte
}

// answering takes notes, and answers the nth request with the nth status, all further
// ones with the last.
func (r *received) answering(statuses ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.headers, r.bodies = append(r.headers, request.Header), append(r.bodies, body)
		status := statuses[min(len(r.bodies), len(statuses))-1]
		w.Header().Set("Location", "/elsewhere"+request.URL.RawQuery)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, request.URL, request.Header)
	}
}

// byHandler is a transport that asks a handler, and says nothing of the network.
type byHandler struct{ http.Handler }

func (h byHandler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// byError is a transport that fails.
type byError func(*http.Request) error

func (f byError) RoundTrip(r *http.Request) (*http.Response, error) { return nil, f(r) }

func receiver(t *testing.T, c Config) *Receiver {
	t.Helper()
	if c.URL == "" {
		c.URL = testLink
	}
	c.UserAgent = "offboard/test"
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPost: one post over a real connection, with all that a receiver looks at.
func TestPost(t *testing.T) {
	t.Parallel()
	var got received
	server := httptest.NewServer(got.answering(http.StatusAccepted))
	defer server.Close()
	r := receiver(t, Config{URL: server.URL + "/canary?sig=x", Secret: testSecret, Transport: server.Client().Transport})
	want := summary()
	if err := r.Post(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if len(got.bodies) != 1 {
		t.Fatalf("%d posts", len(got.bodies))
	}
	h := got.headers[0]
	if h.Get("Content-Type") != "application/json" || h.Get("User-Agent") != "offboard/test" || !strings.HasPrefix(h.Get("webhook-id"), "msg_") {
		t.Errorf("%v", h)
	}
	want.Schema = Schema
	wanted, err := json.Marshal(want)
	var sent, same any
	if err = errors.Join(err, json.Unmarshal(got.bodies[0], &sent), json.Unmarshal(wanted, &same)); err != nil || fmt.Sprint(sent) != fmt.Sprint(same) {
		t.Errorf("%s; want %s (%v)", got.bodies[0], wanted, err)
	}
}

// TestSignature holds the signing against a value that was computed by another tool.
func TestSignature(t *testing.T) {
	t.Parallel()
	r, h := receiver(t, Config{Secret: testSecret}), http.Header{}
	r.sign(h, "msg_1", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	for name, want := range map[string]string{
		"webhook-id": "msg_1", "webhook-timestamp": "1614265330", "webhook-signature": "v1,Li//au+E9faVfvU53G09Rs7fK9uB593bP2HjXCVDOkw=",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q; want %q", name, got, want)
		}
	}
	h = http.Header{}
	receiver(t, Config{}).sign(h, "msg_1", time.Now(), nil)
	if h.Get("webhook-id") == "" || h.Values("webhook-signature") != nil {
		t.Errorf("unsigned: %v", h)
	}
}

// TestTries: what may pass is tried again under the same id, within the time that
// there is; what will not is not. No text of a failure holds what the other side said.
func TestTries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		statuses []int
		tries    int
		says     string // "": success
	}{
		{"taken", []int{200}, 1, ""},
		{"taken in the end", []int{500, 429, 202}, 3, ""},
		{"broken", []int{503}, 3, "answered 503"},
		{"busy", []int{429}, 3, "answered 429"},
		{"gone", []int{404}, 1, "answered 404"},
		{"not allowed", []int{401}, 1, "answered 401"},
		{"moved", []int{302}, 1, "answered 302, a redirect"},
		{"moved, keeping the method", []int{307}, 1, "answered 307, a redirect"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got received
			r := receiver(t, Config{Secret: testSecret, Transport: byHandler{got.answering(c.statuses...)}})
			began := time.Now()
			err := r.Post(t.Context(), summary())
			if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrNotTaken) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary")) {
				t.Errorf("%s: %v", c.name, err)
			}
			if len(got.bodies) != c.tries {
				t.Fatalf("%s: %d tries; want %d", c.name, len(got.bodies), c.tries)
			}
			if took, want := time.Since(began), time.Duration(1<<(c.tries-1)-1)*firstPause; took != want {
				t.Errorf("%s: took %s; want %s", c.name, took, want)
			}
			for _, h := range got.headers {
				if h.Get("webhook-id") != got.headers[0].Get("webhook-id") {
					t.Errorf("%s: another id", c.name)
				}
			}
			if first, last := got.headers[0], got.headers[c.tries-1]; c.tries > 1 && first.Get("webhook-timestamp") == last.Get("webhook-timestamp") {
				t.Errorf("%s: the time of the first try in the last", c.name)
			}
		})
	}
}

// TestRetryAfter: the receiver's wish is kept to if there is time for it.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wish  string
		tries int
		took  time.Duration
	}{{"4", 2, 4 * time.Second}, {"6", 2, 6 * time.Second}, {"10", 1, 0}, {"3600", 3, 3 * time.Second}, {"soon", 3, 3 * time.Second}, {"-1", 3, 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			r := receiver(t, Config{Transport: byHandler{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				tries++
				w.Header().Set("Retry-After", c.wish)
				w.WriteHeader(http.StatusTooManyRequests)
			})}})
			began := time.Now()
			if err := r.Post(t.Context(), summary()); !errors.Is(err, ErrNotTaken) {
				t.Error(err)
			}
			if took := time.Since(began); tries != c.tries || took != c.took {
				t.Errorf("Retry-After %s: %d tries in %s; want %d in %s", c.wish, tries, took, c.tries, c.took)
			}
		})
	}
}

// TestNoAnswerInTime: a receiver that never answers costs ten seconds, whatever it
// does with the connection.
func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
		defer transport.CloseIdleConnections()
		r := receiver(t, Config{URL: "http://localhost/canary", Transport: transport})
		began := time.Now()
		err := r.Post(t.Context(), summary())
		if took := time.Since(began); !errors.Is(err, ErrNotTaken) || !strings.Contains(err.Error(), "in time") || took != Patience {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// TestBroken: what goes wrong with a connection is said in words of our own, for what
// the errors quote may hold the link.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		says  string
		tries int
	}{
		{&net.DNSError{Err: "no such host", Name: "receiver.example", IsNotFound: true}, "host name was not found", 3},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, "cannot be connected to", 3},
		{&net.OpError{Op: "proxyconnect", Err: errors.New("canary")}, "the proxy lets nobody through", 3},
		{&tls.CertificateVerificationError{Err: errors.New("canary")}, "certificate is not trusted", 1},
		{&url.Error{Op: "Post", URL: testLink, Err: io.ErrUnexpectedEOF}, "the connection to the receiver broke", 3},
		{fmt.Errorf("malformed HTTP response %q", "canary"), "the connection to the receiver broke", 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			r := receiver(t, Config{Transport: byError(func(*http.Request) error { tries++; return fmt.Errorf("round trip: %w", c.err) })})
			err := r.Post(t.Context(), summary())
			if !errors.Is(err, ErrNotTaken) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") || tries != c.tries {
				t.Errorf("%v: %v after %d tries; want %q after %d", c.err, err, tries, c.says, c.tries)
			}
		})
	}
}

// TestStoppedWhileWaiting: a caller's context ends the tries.
func TestStoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer stop()
		var got received
		r := receiver(t, Config{Transport: byHandler{got.answering(500)}})
		if err := r.Post(ctx, summary()); !errors.Is(err, ErrNotTaken) || len(got.bodies) != 1 {
			t.Errorf("%v after %d tries", err, len(got.bodies))
		}
	})
}

func summary() Summary {
	return Summary{
		Event: Ended, Command: "run", Campaign: "retired", Ticket: "CHG-4711", TenantID: "5a1e7c3d-0f42-4b8e-9d61-2c7b3f80a914",
		Operator: "svc@host_1", Version: "v1.2.3",
		StartedAt: time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC), EndedAt: time.Date(2026, 3, 1, 23, 14, 3, 0, time.UTC),
		ExitCode: 3, ExitMeaning: "some machines were rejected, failed, timed out or were cancelled", ExitReason: "some machines were rejected, failed, timed out or were cancelled",
		Counts: map[string]int{"accepted": 2990, "rejected": 9, "timed_out": 1, "planned": 0},
		Calls:  &Calls{Sent: 3000, Throttled: 2}, Chain: &Chain{Length: 9007, Head: strings.Repeat("ab", 32)},
		Next: "offboard follow --campaign retired",
	}
}
