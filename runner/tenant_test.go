package runner_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offboard/defender"
	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// reply is what the tenant does with one request. Whether it is applied and
// what the caller learns are independent, as on any network.
type reply struct {
	apply bool
	late  time.Duration // applied that much after the caller gave up
	err   error
	takes time.Duration
}

func accepted() reply { return reply{apply: true, takes: 300 * time.Millisecond} }

func meaning(m defender.Meaning, status int, cause error) error {
	return &defender.Error{Op: "offboard", Meaning: m, Status: status, Err: cause}
}

var (
	errLost        = meaning(defender.Unknown, 0, errors.New("connection reset"))
	errUnreachable = meaning(defender.NotApplied, 0, defender.ErrUnreachable)
	errForbidden   = meaning(defender.Stop, 403, defender.ErrForbidden)
	errNotFound    = meaning(defender.Refused, 404, defender.ErrNotFound)
	errRefused     = meaning(defender.Refused, 400, errors.New("unsupported"))
	errActive      = &defender.Error{Op: "offboard", Meaning: defender.AlreadyActive, Status: 400, Code: defender.CodeActiveRequestAlreadyExists, Err: defender.ErrAlreadyActive}
	errThrottled   = &defender.Error{Op: "offboard", Meaning: defender.NotApplied, Status: 429, RetryAfter: 8 * time.Second, Period: time.Minute, Err: defender.ErrThrottled}
)

// tenant is a service that fails the test itself when a promise breaks: an
// effect beyond the one that is authorised, a request without a durable intent,
// a request for a machine that is not on the list.
type tenant struct {
	t        *testing.T
	journal  func() *journal.Journal
	script   func(nth int, machineID string) reply // nth request for this machine, from 1
	campaign string                                // whose intents are looked for; default "c"
	lag      time.Duration                         // of the action list
	listErr  func() error

	mu       sync.Mutex
	requests map[string]int
	effects  map[string]int
	actions  []listed
	inFlight int
	most     int
	machines []defender.Machine
	looks    int
}

type listed struct {
	defender.MachineAction
	since time.Time
}

func (s *tenant) Offboard(ctx context.Context, machineID, comment string) (defender.MachineAction, error) {
	s.checkIntent(machineID)
	s.mu.Lock()
	s.requests[machineID]++
	r := accepted()
	if s.script != nil {
		r = s.script(s.requests[machineID], machineID)
	}
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.mu.Unlock()

	wait(ctx, r.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	var a defender.MachineAction
	switch {
	case r.late > 0:
		time.AfterFunc(r.late, func() { s.mu.Lock(); defer s.mu.Unlock(); s.apply(machineID, comment) })
	case r.apply:
		a = s.apply(machineID, comment)
	}
	return a, r.err
}

func (s *tenant) checkIntent(machineID string) {
	c, err := s.journal().Campaign(cmp.Or(s.campaign, "c"))
	if err != nil {
		s.t.Error(err)
		return
	}
	e, err := c.Entry(machineID)
	if err != nil || e.State != journal.Sending {
		s.t.Errorf("a request for %s without an intent on disk: %v %v", machineID, e.State, err)
	}
}

func (s *tenant) apply(machineID, comment string) defender.MachineAction {
	s.effects[machineID]++
	if n := s.effects[machineID]; n > 1 {
		s.t.Errorf("machine %s was offboarded %d times", machineID, n)
	}
	return s.add(machineID, comment, defender.StatusPending)
}

func (s *tenant) add(machineID, comment, status string) defender.MachineAction {
	id := fmt.Sprintf("00000000-0000-0000-0000-%012d", len(s.actions)+1)
	a := defender.MachineAction{
		ID: id, Type: defender.TypeOffboard, Status: status, MachineID: machineID, RequestorComment: comment,
		Created: time.Now(), Raw: []byte(fmt.Sprintf(`{"id":%q,"status":%q}`, id, status)),
	}
	s.actions = append(s.actions, listed{a, time.Now()})
	return a
}

func (s *tenant) Actions(_ context.Context, f defender.ActionFilter, p defender.Page) (defender.ActionPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if s.listErr != nil {
		if err := s.listErr(); err != nil {
			return defender.ActionPage{}, err
		}
	}
	var all []defender.MachineAction
	for _, a := range slices.Backward(s.actions) {
		if time.Since(a.since) >= s.lag && (f.MachineID == "" || f.MachineID == a.MachineID) {
			all = append(all, a.MachineAction)
		}
	}
	all = all[min(p.Skip, len(all)):]
	all = all[:min(p.Top, len(all))]
	return defender.ActionPage{Items: all, Received: len(all)}, nil
}

func (s *tenant) Machines(_ context.Context, _ defender.MachineFilter, p defender.Page) (defender.MachinePage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.machines[min(p.Skip, len(s.machines)):]
	all = all[:min(p.Top, len(all))]
	return defender.MachinePage{Items: all, Received: len(all)}, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// bench is a campaign "c" of n machines against a scripted tenant.
type bench struct {
	t        *testing.T
	service  *tenant
	path     string
	journal  *journal.Journal
	campaign *journal.Campaign
	config   runner.Config

	mu     sync.Mutex
	events []runner.Event
}

func id(i int) string { return fmt.Sprintf("%040x", i) }

func ids(n int) iter.Seq[journal.Machine] {
	return func(yield func(journal.Machine) bool) {
		for i := range n {
			if !yield(journal.Machine{ID: id(i), Name: fmt.Sprintf("pc%d", i)}) {
				return
			}
		}
	}
}

func setup(t *testing.T, n int) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "journal")}
	b.service = &tenant{t: t, requests: map[string]int{}, effects: map[string]int{}, journal: func() *journal.Journal { return b.journal }}
	b.open()
	c, err := b.journal.StartCampaign(journal.Info{Name: "c", Comment: "why"})
	if err == nil {
		_, err = c.Enlist(journal.Enlistment{Machines: ids(n)})
	}
	if err != nil {
		t.Fatal(err)
	}
	b.campaign = c
	b.config = runner.Config{Service: b.service, OnEvent: b.event}
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.journal, err = journal.Open(b.path, journal.Tenant{ID: "t", Cloud: "public"}, journal.Options{}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.journal.Close(); err != nil {
		b.t.Error(err)
	}
}

// reopen is what a new process does.
func (b *bench) reopen() {
	b.t.Helper()
	b.close()
	b.open()
	var err error
	if b.campaign, err = b.journal.Campaign("c"); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.journal.Recover(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) event(e runner.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *bench) kinds() map[runner.EventKind]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[runner.EventKind]int{}
	for _, e := range b.events {
		n[e.Kind]++
	}
	return n
}

// run carries the campaign out with fresh limiters.
func (b *bench) run(ctx context.Context) (runner.Summary, error) {
	b.t.Helper()
	c := b.config
	c.Record = b.campaign
	if c.Calls == nil {
		c.Calls = newLimiter(b.t)
	}
	if c.ListCalls == nil {
		c.ListCalls = newLimiter(b.t)
	}
	r, err := runner.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Run(ctx)
}

func newLimiter(t *testing.T) *limiter.Limiter {
	t.Helper()
	l, err := limiter.New(limiter.Config{Quotas: limiter.DefaultQuotas()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// want compares the campaign's counts, written as "accepted 3, rejected 1".
func (b *bench) want(counts string) {
	b.t.Helper()
	c, err := b.campaign.Counts()
	if err != nil {
		b.t.Fatal(err)
	}
	var got []string
	for _, s := range journal.States() {
		if n := c.Of(s); n > 0 {
			got = append(got, fmt.Sprintf("%s %d", s, n))
		}
	}
	if g := strings.Join(got, ", "); g != counts {
		b.t.Errorf("the campaign has %s; want %s", g, counts)
	}
}

// effects counts the machines that the service has offboarded.
func (b *bench) effects(n int) {
	b.t.Helper()
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	if len(b.service.effects) != n {
		b.t.Errorf("the service has offboarded %d machines; want %d", len(b.service.effects), n)
	}
}
