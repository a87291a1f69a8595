package browsertest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wires lead from the browser to the page, and can be cut.
type wires struct {
	address string
	to      string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newWires(t *testing.T, to string) *wires {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wires{address: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); w.set(true) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(c)
		}
	}()
	return w
}

// set cuts all wires, or lets new ones be drawn.
func (w *wires) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			_ = c.Close()
		}
		clear(w.conns)
	}
}

func (w *wires) join(near net.Conn) {
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = near.Close()
		return
	}
	w.mu.Lock()
	refused := w.cut
	w.conns[near], w.conns[far] = true, true
	w.mu.Unlock()
	if refused {
		w.drop(near, far)
		return
	}
	go func() { _, _ = io.Copy(far, near); w.drop(near, far) }()
	_, _ = io.Copy(near, far)
	w.drop(near, far)
}

func (w *wires) drop(all ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
		delete(w.conns, c)
	}
}
