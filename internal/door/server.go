package door

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Keeper answers at a door. Its methods may be called by many goroutines at
// once; who names the account that asks.
type Keeper interface {
	// Status describes a campaign, or the one at work when its name is "", as
	// something that JSON can be made of.
	Status(campaign string) (any, error)
	// Campaigns describes all of them in short.
	Campaigns() (any, error)
	// Stop has the work stopped in an orderly way, Pause and Unpause hold it
	// and let it go on. An error says why not.
	Stop(who string) error
	Pause(who string) error
	Unpause(who string) error
}

const (
	// slow is what a request or its answer may take, and a connection may idle.
	slow = 10 * time.Second
	// crowd is how many connections are served at once; more have to wait.
	crowd = 16
	// largest is how long the head of a request may be, in bytes.
	largest = 8 << 10
)

// Server serves a door.
type Server struct {
	http http.Server
	done chan struct{}
}

// Serve answers at a door until [Server.Close].
func Serve(l net.Listener, k Keeper) *Server {
	s := &Server{
		http: http.Server{
			Handler: handler(k), MaxHeaderBytes: largest,
			ReadTimeout: slow, WriteTimeout: slow, IdleTimeout: slow,
			ErrorLog: log.New(io.Discard, "", 0), // its clients' faults are no business of the run
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				return context.WithValue(ctx, accountKey{}, accountOf(c))
			},
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(newTurnstile(l)) // ends when Close closes the listener
	}()
	return s
}

// Close closes the door, after an answer that is under way for a little while
// more.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

type accountKey struct{}

func accountOf(c net.Conn) string {
	if t, ok := c.(*turn); ok {
		c = t.Conn
	}
	if known, ok := c.(*conn); ok {
		return known.account
	}
	return "unknown"
}

func handler(k Keeper) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := k.Status(r.URL.Query().Get("campaign"))
		reply(w, status, err)
	})
	mux.HandleFunc("GET /campaigns", func(w http.ResponseWriter, _ *http.Request) {
		campaigns, err := k.Campaigns()
		reply(w, campaigns, err)
	})
	for path, act := range map[string]func(string) error{"stop": k.Stop, "pause": k.Pause, "unpause": k.Unpause} {
		mux.HandleFunc("POST /"+path, func(w http.ResponseWriter, r *http.Request) {
			who, _ := r.Context().Value(accountKey{}).(string)
			reply(w, struct{}{}, act(who))
		})
	}
	return mux
}

// refusal is what is said with 409.
type refusal struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, answer any, err error) {
	var text []byte
	if err == nil {
		text, err = json.Marshal(answer)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		text, _ = json.Marshal(refusal{err.Error()})
	}
	_, _ = w.Write(text)
}

// turnstile lets in so many at once.
type turnstile struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
}

func newTurnstile(l net.Listener) *turnstile {
	return &turnstile{l, make(chan struct{}, crowd), make(chan struct{})}
}

func (t *turnstile) Accept() (net.Conn, error) {
	select {
	case t.free <- struct{}{}:
	case <-t.closed:
		return nil, net.ErrClosed
	}
	c, err := t.Listener.Accept()
	if err != nil {
		<-t.free
		return nil, err
	}
	return &turn{Conn: c, leave: func() { <-t.free }}, nil
}

func (t *turnstile) Close() error {
	err := t.Listener.Close()
	if !errors.Is(err, net.ErrClosed) {
		close(t.closed)
	}
	return err
}

// turn is a connection that was let in.
type turn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close makes room for the next.
func (t *turn) Close() error {
	defer t.once.Do(t.leave)
	return t.Conn.Close()
}
