package main

import (
	"slices"

	"offboard/journal"
)

// renewal is how the machines of a list that have ended are looked at.
type renewal struct {
	f        *retryFlags
	states   []journal.State
	campaign string
	own      *journal.Campaign       // nil: new
	was      map[string]journal.Live // the machines of --retry-of
	renewed  map[string][]string     // to be sent already on a person's word, with the actions that are past
	ended    map[string]journal.Live // elsewhere
}

func (s *session) renewal(f *runFlags, was map[string]journal.Live) (*renewal, error) {
	states, err := f.states()
	n := &renewal{
		f: &f.retryFlags, states: states, campaign: f.campaign, was: was,
		renewed: map[string][]string{}, ended: map[string]journal.Live{},
	}
	if err != nil || s.journal == nil {
		return n, err
	}
	for l, err := range s.journal.Ended() {
		if err != nil {
			return nil, err
		}
		if l.Campaign != f.campaign {
			n.ended[l.MachineID] = l
		}
	}
	n.own, err = s.campaign(f.campaign)
	return n, err
}

// takeRenewed notes what is to be sent already on a person's word; one that had left the
// list too, should it be back.
func (n *renewal) takeRenewed() error {
	if n.own == nil {
		return nil
	}
	for st, err := range n.own.Standing(journal.Planned, journal.Excluded) {
		if err != nil {
			return err
		}
		if st.Authorised == 0 {
			continue
		}
		e, err := n.own.Entry(st.MachineID)
		if err != nil {
			return err
		}
		n.renewed[st.MachineID] = e.Past
	}
	return nil
}

// renews says whether a machine that the journal has an outcome of is sent again.
func (n *renewal) renews(s *session, l journal.Live) (bool, error) {
	switch {
	case slices.Contains(n.states, l.State):
		return true, nil
	case !n.f.again || l.State != journal.Succeeded:
		return false, nil
	case l.Campaign != n.campaign && l.Campaign != l.PassedTo:
		return true, nil
	}
	c, err := s.journal.Campaign(l.Campaign)
	if err != nil {
		return false, err
	}
	e, err := c.Entry(l.MachineID)
	if l.Campaign != n.campaign {
		return e.State != journal.Planned, err // else that one is to send it again already
	}
	// The word that sent it is used up: the same command twice means the same.
	used := e.Authorised > 0 && e.Word == n.f.reason
	if used {
		s.app.log.Warn().Str("machine_id", l.MachineID).Msg("was sent again for this reason already; give --reason another one to send it once more")
	}
	return !used, err
}
