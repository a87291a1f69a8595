package defender

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"offboard/internal/failpoint"
)

// meteredConn counts what was written to a connection. A write that is under way
// counts as written.
type meteredConn struct {
	net.Conn
	written atomic.Int64
}

// Write counts before it writes: whoever asks meanwhile must not be told that
// nothing left.
func (c *meteredConn) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n - len(p)))
	failpoint.Hit(failpoint.BytesWritten)
	return n, err
}

type dialContext func(ctx context.Context, network, address string) (net.Conn, error)

// metered makes the connections of a dialer count what is written to them.
func metered(dial dialContext) dialContext {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &meteredConn{Conn: c}, nil
	}
}

// flight is what the transport tells of one request on its way.
type flight struct {
	mu      sync.Mutex
	asked   bool // for a connection
	conn    *meteredConn
	before  int64 // what conn had written before this request
	began   bool  // to write, as far as the transport says
	unsure  bool  // several connections, or one that does not count
	granted bool  // a connection
}

// trace returns a context in which the request reports to f.
func (f *flight) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asked = true
		},
		GotConn: func(info httptrace.GotConnInfo) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.got(info.Conn)
		},
		WroteHeaderField: func(string, []string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.began = true
		},
	})
}

func (f *flight) got(c net.Conn) {
	again := f.granted
	f.granted = true
	// The handshake is over, so that what TLS writes from now on is the request.
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	counting, ok := c.(*meteredConn)
	if !ok || again {
		f.unsure = true
		return
	}
	f.conn, f.before = counting, counting.written.Load()
}

// unwritten says that certainly nothing of the request was written. It has to be
// asked after the transport gave up. A transport that reports nothing gives no
// certainty.
//
// The first header is written after the request line, into a buffer of 4 KiB, so
// that no byte leaves before it unless the line alone is longer. Only the line of
// a list, which has no effect, can be.
func (f *flight) unwritten() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.asked:
		return false
	case !f.granted, !f.began:
		return true
	case f.unsure:
		return false
	}
	return f.conn.written.Load() == f.before
}

// oneShot returns t, made to send a request once and to tell how far it came.
//
// Over HTTP/2 a stream that the server resets is sent again by the transport; a
// compressed answer of some kilobytes can unfold to gigabytes.
func oneShot(t *http.Transport) *http.Transport {
	t = t.Clone()
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	t.DisableCompression = true
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// A transport that was used before remembers to offer HTTP/2.
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = metered(dial)
	return t
}
