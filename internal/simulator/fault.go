package simulator

import (
	"net/http"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds of faults. Those that come before the request is applied still let it count against the
// quota, since the service may well have counted it.
const (
	DropBefore   Kind = "drop-before"   // the connection ends, nothing was applied
	DropAfter    Kind = "drop-after"    // applied, the answer is lost with the connection
	StatusBefore Kind = "status-before" // an error status, nothing was applied
	StatusAfter  Kind = "status-after"  // applied, answered with an error status
	SlowBefore   Kind = "slow-before"   // applied only after Delay, even if the client has gone by then
	SlowAfter    Kind = "slow-after"    // applied, answered after Delay
	LateApply    Kind = "late-apply"    // the connection ends at once, the request arrives after Delay
	Throttle     Kind = "throttle"      // 429 whatever the quota, not counted
	ExpireToken  Kind = "expire-token"  // the token that came with the request is refused from now on
	Garbage      Kind = "garbage"       // applied, the answer's body is no JSON
	Truncated    Kind = "truncated"     // applied, the connection ends in the middle of the answer
	WrongMachine Kind = "wrong-machine" // applied, the answer is about another machine
	NoID         Kind = "no-id"         // applied, the answer has no id
	Redirect     Kind = "redirect"      // 307 to Location, nothing was applied
	Drip         Kind = "drip"          // applied, the answer comes a byte each Delay
	Endless      Kind = "endless"       // applied, the answer never ends
)

// Fault is one thing that goes wrong and says when. Endpoint and Machine say which requests it is
// about; of those, Nth, Every and Probability say which ones it hits; with none of the three, all.
type Fault struct {
	Kind     Kind
	Endpoint Endpoint // "" means [Offboard]
	Machine  string   // id of the only machine that it is about; "" means every one

	Nth         int     // the only matching request that is hit, 1 for the first
	Every       int     // every matching request whose number this divides is hit
	Probability float64 // a matching request is hit with this probability, by seed
	Times       int     // at most so many are hit; 0 means no limit

	Until time.Duration // after the tenant was made nothing is hit any more; 0 means no end

	Status  int    // of StatusBefore and StatusAfter; 0 means 503
	Code    string // error code of the body; "" means the body that the service has for that status
	Message string // error message of the body, with Code

	Delay time.Duration // of SlowBefore, SlowAfter, LateApply and, for each byte, Drip

	Wait       time.Duration // of Throttle: the wait that the answer names; 0 means that it names none
	Period     time.Duration // of Throttle: the window that the message names; 0 means that it names none
	RetryAfter string        // of Throttle: the header as it stands; "" follows Wait, "none" leaves it out

	Location string // of Redirect; "" means another path of this tenant
}

// spoilsBefore tells whether the fault keeps the request from being applied at all.
func (f Fault) spoilsBefore() bool {
	return f.Kind == DropBefore || f.Kind == StatusBefore || f.Kind == Redirect
}

// plannedFault is a fault and how often it has been met.
type plannedFault struct {
	Fault
	index, seen, done int
}

func plan(faults []Fault) []plannedFault {
	planned := make([]plannedFault, len(faults))
	for i, f := range faults {
		if f.Endpoint == "" {
			f.Endpoint = Offboard
		}
		if f.Status == 0 {
			f.Status = http.StatusServiceUnavailable
		}
		planned[i] = plannedFault{Fault: f, index: i}
	}
	return planned
}

func (p *plannedFault) matches(e Endpoint, machineID string) bool {
	everywhere := p.Endpoint == AnyEndpoint && e.class() != ""
	return (everywhere || p.Endpoint == e) && (p.Machine == "" || p.Machine == machineID)
}

// strike picks the fault that hits a request, the zero Fault if none does. Every fault that is about
// the request has seen it, even when an earlier one hits it, so that "the third" means the third.
func (s *Simulator) strike(e Endpoint, machineID string) Fault {
	var hit Fault
	for i := range s.faults {
		p := &s.faults[i]
		if !p.matches(e, machineID) {
			continue
		}
		p.seen++
		if hit.Kind == "" && s.hits(p) {
			p.done++
			s.injected[p.Kind]++
			hit = p.Fault
		}
	}
	return hit
}

func (s *Simulator) hits(p *plannedFault) bool {
	switch {
	case p.Times > 0 && p.done >= p.Times:
		return false
	case p.Until > 0 && s.cfg.Now().Sub(s.made) >= p.Until:
		return false
	case p.Nth > 0:
		return p.seen == p.Nth
	case p.Every > 0:
		return p.seen%p.Every == 0
	case p.Probability > 0:
		return s.share("fault", p.index<<32|p.seen) < p.Probability
	default:
		return true
	}
}
