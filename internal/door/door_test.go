package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// keeper writes down what it is asked.
type keeper struct {
	mu    sync.Mutex
	asked []string
	err   error
}

func (k *keeper) note(what string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, what)
	return k.err
}

func (k *keeper) Status(campaign string) (any, error) {
	return map[string]string{"campaign": campaign}, k.note("status")
}
func (k *keeper) Campaigns() (any, error)  { return []string{"one", "two"}, k.note("campaigns") }
func (k *keeper) Stop(who string) error    { return k.note("stop by " + who) }
func (k *keeper) Pause(who string) error   { return k.note("pause by " + who) }
func (k *keeper) Unpause(who string) error { return k.note("unpause by " + who) }

// memory is a door inside a bubble.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return &conn{c, "somebody"}, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return nil }

func (m *memory) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.closed:
		return nil, ErrNobody
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, k := newMemory(), &keeper{}
		s := Serve(m, k)
		defer s.Close()
		var status struct{ Campaign string }
		if err := Status(t.Context(), m.dial, "a & b/ü", &status); err != nil || status.Campaign != "a & b/ü" {
			t.Errorf("%+v, %v", status, err)
		}
		var campaigns []string
		if err := Campaigns(t.Context(), m.dial, &campaigns); err != nil || len(campaigns) != 2 {
			t.Errorf("%q, %v", campaigns, err)
		}
		for _, ask := range []func(context.Context, Dial) error{Stop, Pause, Unpause} {
			if err := ask(t.Context(), m.dial); err != nil {
				t.Error(err)
			}
		}
		want := []string{"status", "campaigns", "stop by somebody", "pause by somebody", "unpause by somebody"}
		if len(k.asked) != len(want) {
			t.Fatalf("%q", k.asked)
		}
		for i := range want {
			if k.asked[i] != want[i] {
				t.Errorf("%q; want %q", k.asked[i], want[i])
			}
		}
		k.err = errors.New("not now")
		if err := Pause(t.Context(), m.dial); !errors.Is(err, ErrRefused) || err.Error() != "refused: not now" {
			t.Error(err)
		}
	})
}

// TestHostileClients: garbage, endless heads and bodies, clients that say nothing
// and more of them than are served at once all lose their connection in time, and
// the next honest one is served. None of it has the keeper do anything.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"silence":         "",
		"garbage":         "\x00\xff\x16\x03\x01 nothing of use\r\n\r\n",
		"half a head":     "POST /stop HTTP/1.1\r\nHost: x\r\n",
		"a body to come":  "PUT /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
		"an endless head": "GET /status HTTP/1.1\r\nX: " + string(bytes.Repeat([]byte("a"), 1<<20)),
		"another path":    "POST /quit HTTP/1.1\r\nHost: x\r\n\r\n",
		"another method":  "GET /stop HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, k := newMemory(), &keeper{}
				s := Serve(m, k)
				defer s.Close()
				var clients sync.WaitGroup
				began := time.Now()
				for range crowd + 5 {
					clients.Go(func() {
						c, err := m.dial(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						defer c.Close()
						go func() { _, _ = io.WriteString(c, text) }()
						_, _ = io.Copy(io.Discard, c) // until it is shut
					})
				}
				clients.Wait()
				if took := time.Since(began); took > 4*slow {
					t.Errorf("they were served for %s", took)
				}
				var status any
				if err := Status(t.Context(), m.dial, "", &status); err != nil {
					t.Error(err)
				}
				if len(k.asked) != 1 {
					t.Errorf("%q", k.asked)
				}
			})
		})
	}
}

// TestNobody: a client learns that no door is there.
func TestNobody(t *testing.T) {
	t.Parallel()
	p := Place{Dirs: []string{t.TempDir()}}
	journal := filepath.Join(t.TempDir(), "journal")
	for range 2 { // without the journal, and with one that nobody holds
		if _, err := p.Dial(t.Context(), journal); !errors.Is(err, ErrNobody) {
			t.Error(err)
		}
		if err := os.WriteFile(journal, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
