package defender

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// accepted201 is a complete answer to an offboard call.
func accepted201() []byte {
	r := &recorded{header: http.Header{"Content-Type": {"application/json"}}, status: http.StatusCreated}
	_, _ = io.WriteString(r, actionBody(machine))
	return r.bytes()
}

// An answer that breaks off after any number of bytes leaves the machine unknown,
// and the request is on the wire exactly once.
func TestReplyBreaksOffAtEachByte(t *testing.T) {
	t.Parallel()
	full := accepted201()
	var length atomic.Int64
	w := listen(t, func(conn net.Conn, _ *http.Request) bool {
		_, _ = conn.Write(full[:length.Load()])
		return false
	})
	c := newClient(t, "http://"+w.address, nil)
	for n := range len(full) + 1 {
		length.Store(int64(n))
		before := w.requests.Load()
		_, err := c.Offboard(t.Context(), machine, "why")
		if sent := w.requests.Load() - before; sent != 1 {
			t.Fatalf("%d bytes of the answer: %d requests on the wire", n, sent)
		}
		if n == len(full) {
			if err != nil {
				t.Fatalf("the whole answer: %v", err)
			}
		} else if e := problem(t, err); e.Meaning != Unknown {
			t.Fatalf("%d bytes of the answer: %v", n, e.Meaning)
		}
	}
}

// brittle is a connection that breaks after some bytes were written.
type brittle struct {
	net.Conn
	left int
}

func (b *brittle) Write(p []byte) (int, error) {
	if len(p) <= b.left {
		b.left -= len(p)
		return b.Conn.Write(p)
	}
	n, _ := b.Conn.Write(p[:b.left])
	b.left = 0
	_ = b.Close()
	return n, io.ErrClosedPipe
}

// A request that breaks off is known to be unsent only if not one byte left.
func TestRequestBreaksOffAtEachByte(t *testing.T) {
	t.Parallel()
	full := accepted201()
	w := listen(t, func(conn net.Conn, _ *http.Request) bool {
		_, err := conn.Write(full)
		return err == nil
	})
	done := false
	for n := 0; !done; n++ {
		c := newClient(t, "http://"+w.address, &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				return &brittle{conn, n}, err
			},
		})
		before := w.requests.Load()
		_, err := c.Offboard(t.Context(), machine, "why")
		if err == nil {
			done = true
			if sent := w.requests.Load() - before; sent != 1 {
				t.Errorf("%d requests on the wire", sent)
			}
			continue
		}
		e := problem(t, err)
		if want := map[bool]Meaning{true: NotApplied, false: Unknown}[n == 0]; e.Meaning != want {
			t.Fatalf("%d bytes of the request: %v, %v", n, e.Meaning, err)
		}
		if errors.Is(err, ErrUnsent) != (n == 0) {
			t.Fatalf("%d bytes of the request: %v", n, err)
		}
		if n > 2000 {
			t.Fatal("the request never gets through")
		}
	}
	if w.requests.Load() != 1 {
		t.Errorf("%d complete requests in all", w.requests.Load())
	}
}

// A server that closes a kept connection when the second request arrives makes
// net/http send reads again. Ours go out once.
func TestKeptConnectionDiesUnderTheRequest(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *wireServer {
		t.Helper()
		var n atomic.Int64
		return listen(t, func(conn net.Conn, _ *http.Request) bool {
			if n.Add(1) == 2 {
				return false
			}
			r := &recorded{header: http.Header{}, status: http.StatusOK}
			_, _ = io.WriteString(r, `{"value":[],"id":"`+actID+`","machineId":"`+machine+`"}`)
			return r.send(conn) == nil
		})
	}
	for name, do := range map[string]func(*Client) error{
		"read": func(c *Client) error {
			_, err := c.Actions(t.Context(), ActionFilter{}, Page{})
			return err
		},
		"write": func(c *Client) error {
			_, err := c.Offboard(t.Context(), machine, "why")
			return err
		},
	} {
		w := start(t)
		c := newClient(t, "http://"+w.address, nil)
		if err := do(c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if e := problem(t, do(c)); e.Meaning != Unknown {
			t.Errorf("%s: %v", name, e.Meaning)
		}
		if n := w.requests.Load(); n != 2 {
			t.Errorf("%s: %d requests on the wire for 2 calls", name, n)
		}
	}

	// The same with a plain client shows that the fault has teeth.
	w := start(t)
	plain := &http.Client{Transport: &http.Transport{}}
	defer plain.CloseIdleConnections()
	for range 2 {
		resp, err := plain.Get("http://" + w.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if n := w.requests.Load(); n != 3 {
		t.Errorf("a plain client put %d requests on the wire for 2 calls: the fault does nothing", n)
	}
}

// A kept connection that the server closes between two calls.
func TestKeptConnectionClosedWhileIdle(t *testing.T) {
	t.Parallel()
	full := accepted201()
	w := listen(t, func(conn net.Conn, _ *http.Request) bool {
		_, _ = conn.Write(full)
		return false
	})
	c := newClient(t, "http://"+w.address, nil)
	unknown := 0
	for range 200 {
		before := w.requests.Load()
		_, err := c.Offboard(t.Context(), machine, "why")
		sent := w.requests.Load() - before
		switch {
		case err == nil && sent == 1:
		case err != nil && sent == 0 && problem(t, err).Meaning != Applied:
			if problem(t, err).Meaning == Unknown {
				unknown++
			}
		default:
			t.Fatalf("%d requests on the wire, %v", sent, err)
		}
	}
	t.Logf("%d of 200 calls met the closing connection with a byte on it", unknown)
}

func TestConnectionReset(t *testing.T) {
	t.Parallel()
	w := listen(t, func(conn net.Conn, _ *http.Request) bool {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return false
	})
	_, err := newClient(t, "http://"+w.address, nil).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != Unknown || w.requests.Load() != 1 {
		t.Errorf("%v after %d requests", e, w.requests.Load())
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	for name, transport := range map[string]http.RoundTripper{
		"our own transport":       nil,
		"one that does not count": through{&http.Transport{}},
	} {
		_, err = newClient(t, "http://"+address, transport).Offboard(t.Context(), machine, "why")
		if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, ErrUnreachable) || !errors.Is(err, ErrUnsent) || e.Hint == "" {
			t.Errorf("%s: %v, %v", name, e.Meaning, err)
		}
	}
}

// through hides what kind of transport it is.
type through struct{ http.RoundTripper }

// silent is a transport that reports nothing, and fails.
type silent struct{}

func (silent) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: errors.New("who knows")}
}

func TestTransportWithoutEvidence(t *testing.T) {
	t.Parallel()
	_, err := newClient(t, "http://127.0.0.1:1", silent{}).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != Unknown {
		t.Errorf("%v without any evidence", e.Meaning)
	}
	full := accepted201()
	w := listen(t, func(conn net.Conn, _ *http.Request) bool {
		_, _ = conn.Write(full[:10])
		return false
	})
	_, err = newClient(t, "http://"+w.address, through{&http.Transport{}}).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != Unknown {
		t.Errorf("%v though the request was written", e.Meaning)
	}
}

func TestRedirectsAndChallengesAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{300, 301, 302, 303, 307, 308, 401} {
		var seen []string
		c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.URL.Path)
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`)
			w.WriteHeader(status)
		})
		_, err := c.Offboard(t.Context(), machine, "why")
		want := Unknown
		if status == 401 {
			want = NotApplied
		}
		if e := problem(t, err); e.Meaning != want || calls.Load() != 1 {
			t.Errorf("%d: %v after %d requests to %v", status, e.Meaning, calls.Load(), seen)
		}
	}
}

// HTTP/2 sends a POST again when the server resets its stream.
func TestOnlyHTTP1(t *testing.T) {
	t.Parallel()
	var proto atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto.Store(r.Proto)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, actionBody(machine))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	greedy := server.Client().Transport.(*http.Transport).Clone()
	greedy.ForceAttemptHTTP2 = true
	if _, err := newClient(t, server.URL, greedy).Offboard(t.Context(), machine, "why"); err != nil {
		t.Fatal(err)
	}
	if got := proto.Load(); got != "HTTP/1.1" {
		t.Errorf("the request came over %v", got)
	}
	control, err := (&http.Client{Transport: greedy}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = control.Body.Close()
	if got := proto.Load(); got != "HTTP/2.0" {
		t.Errorf("HTTP/2 was not on offer: %v", got)
	}
}

// quiet is where servers write their complaints about our handshakes.
var quiet = log.New(io.Discard, "", 0)

func tlsServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// Over TLS too it can be told that nothing was written.
func TestUnsentOverTLS(t *testing.T) {
	t.Parallel()
	server := tlsServer(t, http.NotFoundHandler())
	transport := server.Client().Transport.(*http.Transport).Clone()
	// The handshake passes; from the first byte of the request on nothing does.
	// TLS 1.2 lets the two be told apart by the type of their records.
	transport.TLSClientConfig.MaxVersion = tls.VersionTLS12
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &afterHandshake{Conn: conn}, err
	}
	_, err := newClient(t, server.URL, transport).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, ErrUnsent) {
		t.Errorf("%v: %v", e.Meaning, err)
	}
}

// afterHandshake refuses to write TLS application data.
type afterHandshake struct {
	net.Conn
	finished atomic.Bool
}

func (a *afterHandshake) Write(p []byte) (int, error) {
	const applicationData = 23
	if len(p) > 0 && p[0] == applicationData || a.finished.Load() {
		a.finished.Store(true)
		return 0, io.ErrClosedPipe
	}
	return a.Conn.Write(p)
}

func TestCertificateDoesNotVerify(t *testing.T) {
	t.Parallel()
	server := tlsServer(t, http.NotFoundHandler())
	unknown, err := NewTransport("", nil)
	if err != nil {
		t.Fatal(err)
	}
	wrongName := server.Client().Transport.(*http.Transport).Clone()
	wrongName.TLSClientConfig.ServerName = "elsewhere.test"
	wrongName.TLSClientConfig.MinVersion = tls.VersionTLS12
	for name, transport := range map[string]*http.Transport{"authority": unknown, "name": wrongName} {
		_, err := newClient(t, server.URL, transport).Offboard(t.Context(), machine, "why")
		e := problem(t, err)
		if e.Meaning != Stop || !errors.Is(err, ErrUntrusted) || !strings.Contains(e.Hint, "--ca-file") {
			t.Errorf("%s: %v, %v (%s)", name, e.Meaning, err, e.Hint)
		}
	}
}
