package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

const (
	// scrapeTimeout is what a request or its answer may take, and a connection
	// may idle.
	scrapeTimeout = 10 * time.Second
	// scrapers is how many connections are served at once; more have to wait.
	scrapers = 16
	// scrapeHead is how long the head of a request may be, in bytes.
	scrapeHead = 8 << 10
)

// metricsServer serves --metrics-listen.
type metricsServer struct {
	http    http.Server
	address string
	done    chan struct{}
}

// handler answers GET /metrics and nothing else. There is nothing to be changed
// and no secret to be had, so it asks nobody who they are.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry(), promhttp.HandlerOpts{CoalesceGather: true}))
	return mux
}

func serveMetrics(address string, h http.Handler) (*metricsServer, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &metricsServer{
		http: http.Server{
			Handler: h, MaxHeaderBytes: scrapeHead,
			ReadTimeout: scrapeTimeout, WriteTimeout: scrapeTimeout, IdleTimeout: scrapeTimeout,
			ErrorLog: log.New(io.Discard, "", 0), // its clients' faults are no business of the run
		},
		address: l.Addr().String(), done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(netutil.LimitListener(l, scrapers)) // ends when close closes the listener
	}()
	return s, nil
}

// close ends the service, after an answer that is under way for a little while
// more.
func (s *metricsServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done
}
