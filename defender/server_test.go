package defender

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	machine = "1e5bc9d7e413ddd7902c2932e418702b84d0cc07"
	other   = "2e5bc9d7e413ddd7902c2932e418702b84d0cc07"
	actID   = "5382f7ea-7557-4ab7-9782-d50480024a4e"
	canary  = "canary-5f2c9e-secret-token"
)

func actionBody(machineID string) string {
	return fmt.Sprintf(`{"id":%q,"type":"Offboard","status":"Pending","machineId":%q,"requestorComment":"why"}`, actID, machineID)
}

// fixed is a source of one token after another; it hands out a new one when the
// last was refused.
type fixed struct {
	mu      sync.Mutex
	refused []string
	taken   int
}

func (f *fixed) Token(context.Context) (AccessToken, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken++
	if len(f.refused) == 0 {
		return AccessToken{Value: canary}, nil
	}
	return AccessToken{Value: fmt.Sprintf("%s-%d", canary, len(f.refused))}, nil
}

func (f *fixed) Refuse(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = append(f.refused, token)
}

// newClient returns a client of the API at a root, with a token that is good.
func newClient(tb testing.TB, root string, transport http.RoundTripper) *Client {
	tb.Helper()
	c, err := New(Config{APIURL: root, Tokens: &fixed{}, Transport: transport})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.CloseIdleConnections)
	return c
}

// serve answers every call of a client with the handler and counts them.
func serve(tb testing.TB, h http.HandlerFunc) (*Client, *atomic.Int64) {
	tb.Helper()
	var calls atomic.Int64
	w := listen(tb, func(conn net.Conn, r *http.Request) bool {
		calls.Add(1)
		rec := &recorded{header: http.Header{}, status: http.StatusOK}
		h(rec, r)
		return rec.send(conn) == nil
	})
	return newClient(tb, "http://"+w.address, nil), &calls
}

// recorded is an answer with the length of its body in the header.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header         { return r.header }
func (r *recorded) WriteHeader(status int)      { r.status = status }
func (r *recorded) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorded) send(conn net.Conn) error {
	_, err := conn.Write(r.bytes())
	return err
}

func (r *recorded) bytes() []byte {
	resp := http.Response{
		StatusCode: r.status, ProtoMajor: 1, ProtoMinor: 1, Header: r.header,
		ContentLength: int64(r.body.Len()), Body: io.NopCloser(&r.body),
	}
	var wire bytes.Buffer
	if err := resp.Write(&wire); err != nil {
		panic(err)
	}
	return wire.Bytes()
}

// wireServer speaks HTTP by hand, to count what arrives and to misbehave.
type wireServer struct {
	address  string
	requests atomic.Int64
}

// listen serves loopback connections. For each request that arrives completely
// it calls answer, which says whether the connection may go on.
func listen(tb testing.TB, answer func(net.Conn, *http.Request) bool) *wireServer {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w := &wireServer{address: l.Addr().String()}
	var open sync.WaitGroup
	var conns sync.Map
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				conns.Store(conn, true)
				open.Go(func() { w.converse(conn, answer) })
			}
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		conns.Range(func(conn, _ any) bool { return conn.(net.Conn).Close() == nil || true })
		open.Wait()
	})
	return w
}

func (w *wireServer) converse(conn net.Conn, answer func(net.Conn, *http.Request) bool) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		w.requests.Add(1)
		if !answer(conn, req) {
			return
		}
	}
}

// problem returns the error as this package's.
func problem(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T)", err, err)
	}
	return e
}

// rawServer answers everything with the same bytes and closes the connection.
func rawServer(tb testing.TB, answer string) *wireServer {
	tb.Helper()
	return listen(tb, func(conn net.Conn, _ *http.Request) bool {
		_, _ = io.WriteString(conn, answer)
		return false
	})
}
