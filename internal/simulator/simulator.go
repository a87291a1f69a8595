package simulator

import (
	"sync"
	"time"
)

// Simulator is one tenant with one app registration. It is safe for concurrent use; make it with
// [New]. It starts no goroutines and needs no closing.
type Simulator struct {
	cfg  Config // with defaults; never changes
	made time.Time

	mu       sync.Mutex
	last     time.Time // the latest time that was acted at: the tenant's clock never goes back
	requests int       // so far, the number of the latest
	faults   []plannedFault
	late     []lateCall // by due time: requests that are under way though their client has gone

	order    []string // machine ids in the order of their creation
	machines map[string]*machine
	actions  []*action // by time of creation
	byID     map[string]*action

	quotas   map[quotaKey]*quota
	log      map[Class][]Call
	truth    map[string]*MachineTruth
	allowed  map[string]int // effects a person authorised, where not one
	injected map[Kind]int
	offences []string

	issued  int // tokens so far, the serial number of the latest
	revoked int // tokens up to this serial number are refused
	expired map[string]bool
}

// New makes a tenant.
func New(c Config) *Simulator {
	s := &Simulator{
		cfg:      c.withDefaults(),
		faults:   plan(c.Faults),
		machines: make(map[string]*machine, c.Machines),
		byID:     make(map[string]*action),
		quotas:   make(map[quotaKey]*quota),
		log:      make(map[Class][]Call),
		truth:    make(map[string]*MachineTruth),
		allowed:  make(map[string]int),
		injected: make(map[Kind]int),
		expired:  make(map[string]bool),
	}
	s.made = s.cfg.Now()
	for i := range c.Machines {
		s.add(s.born(i, s.made))
	}
	return s
}

// Config returns the configuration with all defaults filled in, for whoever needs to sign in.
func (s *Simulator) Config() Config { return s.cfg }

// advance lets everything happen that is due, in the order of its times, and returns the time. Every
// look at the tenant begins with it.
func (s *Simulator) advance() time.Time {
	now := s.cfg.Now()
	if now.Before(s.last) {
		now = s.last
	}
	for len(s.late) > 0 && !s.late[0].due.After(now) {
		l := s.late[0]
		s.late = s.late[1:]
		s.last = l.due
		s.handle(l.call, Fault{}, l.due)
	}
	s.last = now
	return now
}
