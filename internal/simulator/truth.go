package simulator

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Truth is what really happened to the tenant, whatever a client believes.
type Truth struct {
	Machines   map[string]MachineTruth // of each machine that somebody wanted to offboard, found or not
	Calls      map[Class]CallTruth
	Tokens     int          // issued
	Faults     map[Kind]int // how often each kind has hit
	UnderWay   int          // requests that will arrive late
	Violations []string     // see [Simulator.Violations]
}

// MachineTruth is what happened to one machine.
type MachineTruth struct {
	Requests  int      // to offboard it that arrived, whatever became of them
	Effects   int      // offboard actions that were made, those of the portal included
	ActionIDs []string // of those actions, oldest first
	Cancelled []string // of those actions, the ones that say Cancelled
	Done      bool     // the device has carried one of them out, whatever it says
}

// CallTruth is what arrived in one class. Calls without a valid token are in none of these.
type CallTruth struct {
	Arrived    int // all calls
	Throttled  int // those answered 429
	PeakMinute int // the most calls of one app that arrived in any rolling minute, 429s included
	PeakHour   int // the same for an hour
}

// Call is a line of the service's log.
type Call struct {
	Time      time.Time
	AppID     string
	Endpoint  Endpoint
	MachineID string // that it was about, "" if none
	Throttled bool   // answered 429
}

// TB is the part of [testing.TB] that [Simulator.Watch] needs.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
}

// Watch makes a test fail at its end by every violation, and returns the simulator.
func (s *Simulator) Watch(t TB) *Simulator {
	t.Helper()
	t.Cleanup(func() {
		t.Helper()
		for _, v := range s.Violations() {
			t.Errorf("simulator: %s", v)
		}
	})
	return s
}

// Truth returns what really happened until now.
func (s *Simulator) Truth() Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	t := Truth{
		Machines: make(map[string]MachineTruth, len(s.truth)),
		Calls:    make(map[Class]CallTruth),
		Tokens:   s.issued, Faults: maps.Clone(s.injected),
		UnderWay: len(s.late), Violations: slices.Clone(s.offences),
	}
	for id, m := range s.truth {
		t.Machines[id] = s.machineTruth(m, s.cfg.Now())
	}
	for class, log := range s.log {
		t.Calls[class] = s.callTruth(class, log)
	}
	return t
}

func (s *Simulator) machineTruth(m *MachineTruth, now time.Time) MachineTruth {
	t := MachineTruth{Requests: m.Requests, Effects: m.Effects, ActionIDs: slices.Clone(m.ActionIDs)}
	for _, id := range t.ActionIDs {
		a := s.byID[id]
		switch status, _ := a.at(now); status {
		case cancelled:
			t.Cancelled = append(t.Cancelled, id)
			t.Done = t.Done || a.overtaken
		case succeeded:
			t.Done = true
		}
	}
	return t
}

func (s *Simulator) callTruth(class Class, log []Call) CallTruth {
	ct := CallTruth{Arrived: len(log)}
	for _, c := range log {
		if c.Throttled {
			ct.Throttled++
		}
	}
	for key, q := range s.quotas {
		if key.class == class {
			ct.PeakMinute, ct.PeakHour = max(ct.PeakMinute, q.minute.peak), max(ct.PeakHour, q.hour.peak)
		}
	}
	return ct
}

// Violations returns what must never happen: an offboard action on a machine beyond those that a
// person authorised, and more calls counted in a rolling window than the quota allows, which a client
// can reach only where the tenant counts with another [Window] than a sliding one.
func (s *Simulator) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	return slices.Clone(s.offences)
}

// Effects returns how many machines were offboarded, and how many offboard actions were made.
func (s *Simulator) Effects() (machines, effects int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	for _, m := range s.truth {
		if m.Effects > 0 {
			machines++
		}
		effects += m.Effects
	}
	return machines, effects
}

// Log returns the calls of a class in the order of their arrival.
func (s *Simulator) Log(c Class) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	return slices.Clone(s.log[c])
}

// Authorise sets how many offboard actions on a machine a person has allowed. Without it one is.
func (s *Simulator) Authorise(machineID string, effects int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	s.allowed[machineID] = effects
}

func (s *Simulator) allowance(machineID string) int {
	if n, ok := s.allowed[machineID]; ok {
		return n
	}
	return 1
}

func (s *Simulator) truthOf(machineID string) *MachineTruth {
	t := s.truth[machineID]
	if t == nil {
		t = &MachineTruth{}
		s.truth[machineID] = t
	}
	return t
}

// affect counts an effect on a machine.
func (s *Simulator) affect(machineID string, a *action) {
	t := s.truthOf(machineID)
	t.Effects++
	t.ActionIDs = append(t.ActionIDs, a.id)
	if allowed := s.allowance(machineID); t.Effects > allowed {
		s.offend("machine %s: effect %d at %s (action %s, comment %q), %d authorised",
			machineID, t.Effects, a.created.Format(time.RFC3339Nano), a.id, a.comment, allowed)
	}
}

func (s *Simulator) offend(format string, args ...any) {
	s.offences = append(s.offences, fmt.Sprintf(format, args...))
}
