package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The states of an action.
const (
	pending    = "Pending"
	inProgress = "InProgress"
	succeeded  = "Succeeded"
	failed     = "Failed"
	timedOut   = "TimeOut"
	cancelled  = "Cancelled"
)

// portalUser is who acts in the portal.
const portalUser = "operator@fleet.example"

// action is an offboard action. What state it is in follows from the time alone.
type action struct {
	id, machineID, name string
	requestor, comment  string
	source              string
	created             time.Time
	steps               []step // that come after Pending, by time
	cancelledAt         time.Time
	cancelledBy         string
	cancelComment       string
	overtaken           bool // cancelled, and carried out all the same
}

// step is a state that an action reaches at a time.
type step struct {
	at     time.Time
	status string
}

// at returns the state that the action is in at a time, and since when.
func (a *action) at(t time.Time) (status string, since time.Time) {
	if !a.cancelledAt.IsZero() && !a.cancelledAt.After(t) {
		return cancelled, a.cancelledAt
	}
	status, since = pending, a.created
	for _, st := range a.steps {
		if !st.at.After(t) {
			status, since = st.status, st.at
		}
	}
	return status, since
}

func final(status string) bool { return status != pending && status != inProgress }

// fate returns the states that an action on a machine goes through.
func (s *Simulator) fate(m *machine, now time.Time) []step {
	switch {
	case m.Offline:
		return []step{{now.Add(s.cfg.TimeOutAfter), timedOut}}
	case s.cfg.SettleAfter < 0:
		return nil
	case m.Failing:
		return []step{{now.Add(s.cfg.SettleAfter / 2), inProgress}, {now.Add(s.cfg.SettleAfter), failed}}
	default:
		return []step{{now.Add(s.cfg.SettleAfter / 2), inProgress}, {now.Add(s.cfg.SettleAfter), succeeded}}
	}
}

// active returns the action of a machine that has not ended, or nil.
func (m *machine) active(now time.Time) *action {
	for _, a := range m.actions {
		if status, _ := a.at(now); !final(status) {
			return a
		}
	}
	return nil
}

// apply makes an offboard action: the effect that must not happen twice.
func (s *Simulator) apply(m *machine, requestor, source, comment string, now time.Time) *action {
	a := &action{
		id: s.guid("action", len(s.actions)), machineID: m.ID, name: m.ComputerDNSName,
		requestor: requestor, source: source, comment: s.kept(comment), created: now, steps: s.fate(m, now),
	}
	s.actions = append(s.actions, a)
	s.byID[a.id] = a
	m.actions = append(m.actions, a)
	s.affect(m.ID, a)
	return a
}

// kept is what an action keeps of a comment.
func (s *Simulator) kept(comment string) string {
	runes := []rune(comment)
	if s.cfg.CommentLimit == 0 || len(runes) <= s.cfg.CommentLimit {
		return comment
	}
	return string(runes[:max(0, s.cfg.CommentLimit)])
}

// offboard answers POST /api/machines/{id}/offboard.
func (s *Simulator) offboard(c *call, who identity, now time.Time) reply {
	comment, rep, ok := s.readComment(c.body)
	if !ok {
		return rep
	}
	m := s.machines[c.machineID]
	if m == nil {
		return s.machineNotFound(c.machineID)
	}
	switch m.Refuse {
	case "":
	case "DisallowedOperation", "DisabledFeature":
		return fail(http.StatusForbidden, m.Refuse, "The operation is not allowed on this machine", s.target())
	default:
		return fail(http.StatusBadRequest, m.Refuse, "The action is not supported on this machine", s.target())
	}
	if a := m.active(now); a != nil && !s.cfg.AcceptDuplicates {
		if s.share("return active", c.number) < s.cfg.ReturnActive {
			return s.entity(http.StatusOK, a, c.base, now)
		}
		return fail(http.StatusBadRequest, "ActiveRequestAlreadyExists", "Action is already in progress", s.target())
	}
	a := s.apply(m, who.AppName, "PublicApi", comment, now)
	return s.entity(http.StatusCreated, a, c.base, now)
}

// readComment takes the comment out of a request's body. The key's case matters, which is why the
// body is not read into a struct.
func (s *Simulator) readComment(body []byte) (comment string, rep reply, ok bool) {
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return "", fail(http.StatusBadRequest, "InvalidRequestBody", "Request body is incorrect", s.target()), false
	}
	comment, ok = fields["Comment"].(string)
	if !ok || comment == "" {
		return "", fail(http.StatusBadRequest, "MissingRequiredParameter", "Comment is required", s.target()), false
	}
	return comment, reply{}, true
}

// cancel answers POST /api/machineactions/{id}/cancel.
func (s *Simulator) cancel(c *call, who identity, now time.Time) reply {
	comment, rep, ok := s.readComment(c.body)
	if !ok {
		return rep
	}
	a := s.byID[c.subject]
	if a == nil {
		return s.actionNotFound(c.subject)
	}
	if status, _ := a.at(now); final(status) {
		return fail(http.StatusBadRequest, "BadRequest", "The action is "+status+" and cannot be cancelled", s.target())
	}
	s.giveUp(a, who.AppName, comment, now)
	return s.entity(http.StatusOK, a, c.base, now)
}

// giveUp cancels an action, which the device may have begun on.
func (s *Simulator) giveUp(a *action, who, comment string, now time.Time) {
	a.cancelledAt, a.cancelledBy, a.cancelComment = now, who, comment
	for _, st := range a.steps {
		if st.status == succeeded && s.cfg.CancelRace > 0 && !st.at.After(now.Add(s.cfg.CancelRace)) {
			a.overtaken = true
		}
	}
}

func (s *Simulator) actionNotFound(id string) reply {
	return fail(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf("Machine action %s was not found", id), s.target())
}

// Act lets somebody offboard a machine in the portal, and returns the id of the action, or "" when
// there is no such machine. This effect is authorised by itself; one more is not.
func (s *Simulator) Act(machineID, comment string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	m := s.machines[machineID]
	if m == nil {
		return ""
	}
	s.allowed[machineID] = max(s.allowance(machineID), s.truthOf(machineID).Effects+1)
	return s.apply(m, portalUser, "Portal", comment, now).id
}

// Cancel lets somebody cancel an action in the portal, and reports whether there was one that had not
// ended.
func (s *Simulator) Cancel(actionID, comment string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	a := s.byID[actionID]
	if a == nil {
		return false
	}
	if status, _ := a.at(now); final(status) {
		return false
	}
	s.giveUp(a, portalUser, comment, now)
	return true
}
