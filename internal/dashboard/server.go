package dashboard

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// slow is what a request may take to arrive, and a part of an answer to be
	// taken.
	slow = 10 * time.Second
	// answering bounds an answer that is no stream; the first over a million
	// machines reads all of them.
	answering = time.Minute
	// idle is how long a connection is kept for the next request.
	idle = time.Minute
	// largest is how long the head or the body of a request may be, in bytes.
	largest = 8 << 10
	// connections is how many there may be at once; more have to wait.
	connections = 128
	// rowsBound is how many machines are told at once.
	rowsBound = 500
	// leaving is how long the last state may take to reach the pages.
	leaving = 2 * time.Second
)

// Options say what is served beside the [Source].
type Options struct {
	// Host is the name that a browser may know the listener by, beside addresses
	// and localhost. Default: none.
	Host string
	// Controls are offered on the page; nil: Why says why there are none.
	Controls Controls
	Why      string
	// Who is told to the Controls.
	Who string
	// States are the states of a machine, in the order in which they are sorted.
	States []string
	// Samples are drawn from the beginning.
	Samples []Sample
	// Handlers answer at more paths, by the patterns of [http.ServeMux]; they are
	// served without the token, and have to know for themselves whom they answer.
	Handlers map[string]http.Handler
}

// Server serves a page.
type Server struct {
	options     Options
	token       string
	address     string
	hub         *hub
	crossOrigin *http.CrossOriginProtection
	http        http.Server
	done        chan struct{}
	close       func() error
}

// Serve serves a source at a listener until [Server.Close].
func Serve(l net.Listener, source Source, o Options) *Server {
	s := &Server{
		options: o, token: newToken(), address: l.Addr().String(),
		hub: newHub(source, o), crossOrigin: http.NewCrossOriginProtection(), done: make(chan struct{}),
	}
	s.http = http.Server{
		Handler: s.guarded(s.handler()), MaxHeaderBytes: largest,
		ReadTimeout: slow, WriteTimeout: answering, IdleTimeout: idle,
		ErrorLog: log.New(io.Discard, "", 0), // its clients' faults are no business of the run
	}
	s.close = sync.OnceValue(s.end)
	go func() {
		defer close(s.done)
		_ = s.http.Serve(netutil.LimitListener(l, connections)) // ends when Close closes the listener
	}()
	return s
}

// Link is the address of the page with its token: whoever has it can read, stop
// and pause the campaign. A host that is not "" stands in for the listener's.
func (s *Server) Link(host string) string {
	address := s.address
	if _, port, err := net.SplitHostPort(address); err == nil && host != "" {
		address = net.JoinHostPort(host, port)
	}
	return (&url.URL{Scheme: "http", Host: address, Path: "/", Fragment: s.token}).String()
}

// Changed says that a machine stands as it did not before. It does not wait.
func (s *Server) Changed(machineID string) { s.hub.table.changed(machineID) }

// Refill says that any number of machines may have changed. It does not wait.
func (s *Server) Refill() { s.hub.table.refill() }

// Close sends every page the last state, and ends. A second Close does nothing.
func (s *Server) Close() error { return s.close() }

func (s *Server) end() error {
	s.hub.end()
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", files())
	mux.HandleFunc("GET /api/events", s.known(s.events))
	mux.HandleFunc("GET /api/columns", s.known(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string][]string{"columns": s.hub.source.Columns(), "states": s.options.States}, nil)
	}))
	mux.HandleFunc("GET /api/machines", s.known(func(w http.ResponseWriter, r *http.Request) {
		page, err := s.hub.table.page(r.Context(), asked(r.URL.Query()))
		reply(w, page, err)
	}))
	if c := s.options.Controls; c != nil {
		for path, act := range map[string]func(string) error{"stop": c.Stop, "pause": c.Pause, "unpause": c.Unpause} {
			mux.HandleFunc("POST /api/"+path, s.known(meantSo(func(w http.ResponseWriter, _ *http.Request) {
				err := act(s.options.Who)
				s.hub.refresh()
				reply(w, struct{}{}, err)
			})))
		}
	}
	for pattern, h := range s.options.Handlers {
		mux.Handle(pattern, h)
	}
	return mux
}

func asked(v url.Values) query {
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(v.Get(name))
		if err != nil || n < 0 {
			return otherwise
		}
		return n
	}
	return query{
		words: v.Get("q"), state: v.Get("state"), order: v.Get("sort"), descending: v.Get("desc") != "",
		offset: number("offset", 0), limit: min(number("limit", 50), rowsBound),
	}
}

// reply answers with JSON, or says with 409 why not.
func reply(w http.ResponseWriter, answer any, err error) {
	var text []byte
	if err == nil {
		text, err = json.Marshal(answer)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		text, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	_, _ = w.Write(text)
}
