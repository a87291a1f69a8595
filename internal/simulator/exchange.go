package simulator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxBody is the longest request body that is read, in bytes.
const maxBody = 1 << 20

// call is one request that arrived whole.
type call struct {
	route
	number    int
	machineID string // that it is about, "" if none
	method    string
	base      string // scheme and host by which the client knows the tenant
	path      string
	query     url.Values
	form      bool // whether the body is a form
	token     string
	body      []byte
}

// lateCall is a call whose client has gone before it arrived.
type lateCall struct {
	due  time.Time
	call *call
}

// ServeHTTP answers one request. It panics with [net/http.ErrAbortHandler] where the connection is to
// end without an answer, which every net/http server understands.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := readCall(w, r)
	if err != nil {
		panic(http.ErrAbortHandler) // the request was cut off: the service never had it whole
	}
	f := s.admit(c)
	s.observe(Arrived, c)
	if f.Kind == LateApply {
		s.leave(c, f.Delay)
		panic(http.ErrAbortHandler)
	}
	rep := s.arrive(r.Context(), c, f)
	s.observe(Answering, c)
	s.write(r.Context(), w, s.spoil(rep, c, f), c.number, f)
}

func readCall(w http.ResponseWriter, r *http.Request) (*call, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return &call{
		route:  parseRoute(r.URL.Path),
		method: r.Method,
		base:   scheme + "://" + r.Host,
		path:   r.URL.Path,
		query:  r.URL.Query(),
		form:   strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"),
		token:  token,
		body:   body,
	}, nil
}

// admit numbers a request, finds out which machine it is about, and picks the fault that hits it.
func (s *Simulator) admit(c *call) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	s.requests++
	c.number = s.requests
	switch c.endpoint {
	case Offboard, GetMachine:
		c.machineID = c.subject
	case GetAction, CancelAction:
		if a := s.byID[c.subject]; a != nil {
			c.machineID = a.machineID
		}
	default:
	}
	return s.strike(c.endpoint, c.machineID)
}

func (s *Simulator) observe(stage Stage, c *call) {
	if s.cfg.Observe != nil && c.endpoint.class() != "" {
		s.cfg.Observe(Request{stage, c.endpoint, c.machineID, c.number})
	}
}

// arrive waits until the request has reached the service and lets it take effect. If the client goes
// away meanwhile, the request arrives all the same, and nobody hears the answer.
func (s *Simulator) arrive(ctx context.Context, c *call, f Fault) reply {
	travel := s.halfLatency("there", c.number)
	if f.Kind == SlowBefore {
		travel += f.Delay
	}
	begun := time.Now()
	if err := wait(ctx, travel); err != nil {
		s.leave(c, travel-time.Since(begun))
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handle(c, f, s.advance())
}

// leave lets a request without a client arrive after a while. Those that only read are forgotten.
func (s *Simulator) leave(c *call, after time.Duration) {
	if c.endpoint != Offboard && c.endpoint != CancelAction {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := lateCall{s.advance().Add(max(0, after)), c}
	i, _ := slices.BinarySearchFunc(s.late, l, func(a, b lateCall) int {
		if !a.due.After(b.due) {
			return -1 // of two that are due at once, the one that left first goes first
		}
		return 1
	})
	s.late = slices.Insert(s.late, i, l)
}

// handle lets a request take effect at a time: sign-in first, then the quota, then the permission.
func (s *Simulator) handle(c *call, f Fault, now time.Time) reply {
	if c.endpoint == Offboard {
		s.truthOf(c.machineID).Requests++
	}
	if f.Kind == ExpireToken {
		s.expired[c.token] = true
	}
	switch {
	case f.Kind == Redirect:
		return redirect(c, f)
	case c.endpoint.class() == "":
		return s.handleUnmetered(c, f, now)
	}
	who, rep, ok := s.authenticate(c.token, now)
	if !ok {
		return rep
	}
	if rep, ok := s.meter(c, f, who.AppID, now); !ok {
		return rep
	}
	switch {
	case f.spoilsBefore():
		return s.failedBy(f, c.subject)
	case c.method != c.endpoint.method():
		return failMethod(c.endpoint.method())
	case !who.hasAny(c.endpoint.roles()):
		return s.forbidden(c.endpoint.roles(), who)
	}
	return s.dispatch(c, who, now)
}

// handleUnmetered answers what has no quota: Entra, and paths that nothing answers.
func (s *Simulator) handleUnmetered(c *call, f Fault, now time.Time) reply {
	switch {
	case f.Kind == Throttle:
		return s.throttledBy(f)
	case f.spoilsBefore():
		return s.failedBy(f, c.subject)
	case c.endpoint == unknown:
		return fail(http.StatusNotFound, "NotFound", "No resource answers at "+c.path, s.target())
	case c.method != c.endpoint.method():
		return failMethod(c.endpoint.method())
	case c.endpoint == Discovery:
		return s.discovery(c)
	default:
		return s.signIn(c, now)
	}
}

// meter puts the call into the log and counts it; ok is false when it is refused.
func (s *Simulator) meter(c *call, f Fault, appID string, now time.Time) (rep reply, ok bool) {
	class := c.endpoint.class()
	entry := Call{Time: now, AppID: appID, Endpoint: c.endpoint, MachineID: c.machineID}
	q := s.quota(class, appID)
	q.minute.add(now)
	q.hour.add(now)
	if f.Kind == Throttle {
		rep, entry.Throttled = s.throttledBy(f), true
	} else if full, wait := s.charge(class, appID, now); full != nil {
		rep, entry.Throttled = s.throttled(full, wait, now), true
	}
	s.log[class] = append(s.log[class], entry)
	return rep, !entry.Throttled
}

func (s *Simulator) dispatch(c *call, who identity, now time.Time) reply {
	switch c.endpoint {
	case Offboard:
		return s.offboard(c, who, now)
	case CancelAction:
		return s.cancel(c, who, now)
	case GetAction:
		return s.getAction(c, now)
	case ListActions:
		return s.listActions(c, now)
	case GetMachine:
		return s.getMachine(c, now)
	default:
		return s.listMachines(c, now)
	}
}

// halfLatency is the time that a request or its answer travels.
func (s *Simulator) halfLatency(way string, number int) time.Duration {
	d := s.cfg.Latency
	if s.cfg.Jitter > 0 {
		d += time.Duration((2*s.share(way, number) - 1) * float64(s.cfg.Jitter))
	}
	return max(0, d/2)
}

// wait waits, if there is anything to wait for, or returns the error of a context that ends first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("client gone: %w", context.Cause(ctx))
	}
}
