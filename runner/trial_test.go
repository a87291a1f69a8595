package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offboard/defender"
	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// trial is one campaign "c" against a simulated tenant, carried out by one
// process after another until nothing is left to do. The client, the wire, the
// limiter and the journal are the real ones. It collects what breaks a promise.
type trial struct {
	t    *testing.T
	sim  *simulator.Simulator
	pipe *simulator.Pipe
	path string   // of the journal
	list []string // machine ids

	// fail says how the nth step, from 0, fails; "" if it does not.
	fail func(n int, k kind) form
	// weaken takes a part of the protection away.
	weaken func(*runner.Config)
	// watch, if set, is told of every request to offboard a machine as it arrives.
	watch  func(machineID string)
	config runner.Config // but for what every process makes anew
	ahead  time.Duration // by which the wall clock of a process is ahead

	mu       sync.Mutex
	journal  *journal.Journal // of the process
	stop     func()           // the process
	steps    []kind
	injected int  // faults, in all
	broken   bool // the process can no longer write
	stopped  bool // an answer was given that has to stop the process
	begun    map[string]bool
	problems []string
}

// newTrial makes a trial of every machine of the tenant and of those ids besides.
func newTrial(t *testing.T, c simulator.Config, besides ...string) *trial {
	t.Helper()
	sim := simulator.New(c)
	tr := &trial{t: t, sim: sim, path: filepath.Join(t.TempDir(), "journal"), list: besides, begun: map[string]bool{}}
	for _, m := range sim.Machines() {
		tr.list = append(tr.list, m.ID)
	}
	tr.pipe, tr.stop = simulator.NewPipe(tr), func() {}
	tr.config = runner.Config{Workers: 1, RetryFor: 2 * time.Minute}
	tr.fail = func(int, kind) form { return "" }
	return tr
}

func (tr *trial) problem(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.problems = append(tr.problems, fmt.Sprintf(format, args...))
}

// faults says how often a step has failed.
func (tr *trial) faults() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.injected
}

// process is what a process does from its start to its end, or until it cannot
// write any more.
func (tr *trial) process(ctx context.Context) error {
	ahead := tr.ahead
	now := func() time.Time { return time.Now().Add(ahead).Round(0) }
	j, err := journal.Open(tr.path, journal.Tenant{ID: "t", Cloud: "public"}, journal.Options{Now: now})
	if err != nil {
		return err
	}
	defer j.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tr.mu.Lock()
	tr.journal, tr.stop, tr.broken, tr.stopped, tr.begun = j, stop, false, false, map[string]bool{}
	tr.mu.Unlock()
	c, err := tr.enlisted(j)
	if err != nil {
		return err
	}
	if err := tr.write(func() error { _, err := j.Recover(); return err }); err != nil {
		return err
	}
	client, hangUp := tr.client()
	defer hangUp()
	if err := tr.carryOut(ctx, &recorder{c, tr}, client); err != nil {
		return err
	}
	return tr.write(func() error { return c.Update(func(i *journal.Info) error { i.LastRun = []byte(`{}`); return nil }) })
}

func (tr *trial) enlisted(j *journal.Journal) (*journal.Campaign, error) {
	c, err := j.Campaign("c")
	if errors.Is(err, journal.ErrNoCampaign) {
		err = tr.write(func() error { c, err = j.StartCampaign(journal.Info{Name: "c", Comment: "why"}); return err })
	}
	if err != nil {
		return nil, err
	}
	return c, tr.write(func() error {
		_, err := c.Enlist(journal.Enlistment{Machines: func(yield func(journal.Machine) bool) {
			for _, id := range tr.list {
				if !yield(journal.Machine{ID: id}) {
					return
				}
			}
		}})
		return err
	})
}

func (tr *trial) client() (*defender.Client, func()) {
	transport := &http.Transport{DialContext: tr.pipe.DialContext}
	client, err := defender.New(defender.Config{APIURL: "http://127.0.0.1", Tokens: &desk{trial: tr}, Transport: transport})
	if err != nil {
		tr.t.Fatal(err)
	}
	return client, client.CloseIdleConnections
}

func (tr *trial) carryOut(ctx context.Context, record *recorder, service runner.Service) error {
	c := tr.config
	c.Service, c.Record, c.Calls, c.ListCalls = service, record, newLimiter(tr.t), newLimiter(tr.t)
	c.Owner = func(name string) (runner.Record, error) {
		other, err := tr.journal.Campaign(name)
		return &recorder{other, tr}, err
	}
	if tr.weaken != nil {
		tr.weaken(&c)
	}
	r, err := runner.New(c)
	if err != nil {
		return err
	}
	if record.Info().TenantRead.IsZero() {
		if err := r.Adopt(ctx, record); err != nil {
			return err
		}
		err := tr.write(func() error {
			return record.Update(func(i *journal.Info) error { i.TenantRead = time.Now(); return nil })
		})
		if err != nil {
			return err
		}
	}
	_, err = r.Run(ctx)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var e *defender.Error
	if stop := errors.As(err, &e) && e.Meaning == defender.Stop; tr.stopped && !tr.broken && !stop {
		tr.problems = append(tr.problems, fmt.Sprintf("an answer that stops a run was lost: it ended with %v", err))
	}
	return err
}

// mostProcesses is more than there are faults that end a process.
const mostProcesses = 6

// settleAll lets one process follow another until one has ended by itself that
// met no fault, and at least twice.
func (tr *trial) settleAll(ctx context.Context) {
	for n := 1; ; n++ {
		before := tr.faults()
		err := tr.process(ctx)
		switch clean := tr.faults() == before; {
		case clean && err != nil:
			tr.problem("process %d met no fault and ended with %v", n, err)
			return
		case clean && n > 1:
			return
		case n > mostProcesses:
			tr.problem("no end after %d processes", n)
			return
		}
	}
}

// longAfter is later than any request arrives.
const longAfter = 15 * time.Minute

// close waits for what may still arrive, and returns what went wrong.
func (tr *trial) close() []string {
	<-time.After(longAfter)
	if err := tr.pipe.Close(); err != nil {
		tr.problem("%v", err)
	}
	for _, v := range tr.sim.Violations() {
		tr.problem("%s", v)
	}
	return tr.problems
}

// ServeHTTP is the way to the simulator, on which requests are judged and lost.
func (tr *trial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	again := func() *http.Request {
		r := r.Clone(context.WithoutCancel(r.Context()))
		r.Body = io.NopCloser(bytes.NewReader(body))
		return r
	}
	k := look
	if r.Method == http.MethodPost {
		k = send
		tr.arrived(strings.Split(r.URL.Path, "/")[3], string(body))
	}
	switch tr.step(k) {
	case notApplied:
		panic(http.ErrAbortHandler)
	case answerLost:
		tr.sim.ServeHTTP(httptest.NewRecorder(), again())
		panic(http.ErrAbortHandler)
	case minuteLate:
		late := again()
		time.AfterFunc(time.Minute, func() { tr.sim.ServeHTTP(httptest.NewRecorder(), late) })
		panic(http.ErrAbortHandler)
	case throttled:
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case forbidden:
		if k == send {
			tr.mu.Lock()
			tr.stopped = true
			tr.mu.Unlock()
		}
		w.WriteHeader(http.StatusForbidden)
		return
	case tokenRefused:
		tr.sim.RevokeTokens()
	default:
	}
	tr.sim.ServeHTTP(w, again())
}

// arrived judges a request to offboard a machine at the moment that it arrives:
// its intent has to be acknowledged and in the journal, and its machine on the
// list.
func (tr *trial) arrived(machineID, body string) {
	if !slices.Contains(tr.list, machineID) {
		tr.problem("a request for machine %s, which is not on the list", machineID)
	}
	if tr.watch != nil {
		tr.watch(machineID)
	}
	tr.mu.Lock()
	j, begun := tr.journal, tr.begun[machineID]
	tr.mu.Unlock()
	c, err := j.Campaign("c")
	if err != nil {
		tr.problem("a request without a campaign: %v", err)
		return
	}
	e, err := c.Entry(machineID)
	if err != nil || e.State != journal.Sending || !begun || !strings.Contains(body, runner.Mark("c", e.Attempts)) {
		tr.problem("a request for machine %s without a durable intent: acknowledged %t, %s, attempt %d, %v, %s", machineID, begun, e.State, e.Attempts, err, body)
	}
}
