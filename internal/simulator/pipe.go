package simulator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// Pipe serves a handler over plain HTTP in memory. Everything that it waits for is a channel, so that
// real clients can talk to it inside a testing/synctest bubble, in virtual time.
type Pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	http   *http.Server
	done   chan struct{}
}

// NewPipe starts to serve a handler, for instance a [Simulator].
func NewPipe(h http.Handler) *Pipe {
	p := &Pipe{
		conns:  make(chan net.Conn),
		closed: make(chan struct{}),
		http:   newHTTPServer(h),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(p.done)
		_ = p.http.Serve(pipeListener{p}) // ends when Close closes the listener
	}()
	return p
}

// DialContext connects to the handler, whatever the address: it is for [net/http.Transport]. The
// error of a closed pipe is [net.ErrClosed].
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, fmt.Errorf("dial: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial: %w", context.Cause(ctx))
	}
}

// Close ends the server and its connections. Inside a bubble the client's idle connections have to
// be closed as well.
func (p *Pipe) Close() error {
	err := p.http.Close()
	<-p.done
	if err != nil {
		return fmt.Errorf("close pipe: %w", err)
	}
	return nil
}

// pipeListener is the end of a pipe that the server accepts from.
type pipeListener struct{ p *Pipe }

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.p.conns:
		return c, nil
	case <-l.p.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	l.p.once.Do(func() { close(l.p.closed) })
	return nil
}

func (l pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
