package main

import (
	"context"
	"errors"
	"slices"

	"offboard/defender"
	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// preview is what a run of a list would do, found without changing anything.
type preview struct {
	send     input.Machines
	settled  []known                           // accepted or further, in whichever campaign
	doubted  []known                           // in doubt: asked about, and sent if nothing had arrived
	ended    []known                           // rejected or ended otherwise in this campaign
	again    []known                           // of send, those that are sent again on a person's word
	before   []known                           // of send, those that ended in another campaign
	adopted  []input.Machine                   // with an action in the tenant that stands
	leaving  []journal.Standing                // planned in the campaign, and no longer on the list
	standing map[string]defender.MachineAction // of the adopted and of those left out
	// blind: the tenant's actions may not be listed, so adopted is empty.
	blind bool
	// records is what the journal has of machines, of the list or not: live in any
	// campaign, or ended in this one; elsewhere is what has ended in others.
	records, elsewhere map[string]journal.Live
	// past are actions of the machines of again that are over, by machine.
	past map[string][]string
}

// known is a machine of the list that the journal has something to say of.
type known struct {
	machine input.Machine
	journal.Live
}

// preview compares a list with the journal and with the tenant. A machine that
// any campaign holds live is not sent, nor is one that this campaign has an
// outcome for, nor one that the tenant has an action for; unless a person says so.
func (s *session) preview(ctx context.Context, list *input.List, leftOut []omitted, n *renewal) (preview, error) {
	p := preview{past: map[string][]string{}}
	records, planned, err := s.records(n.campaign)
	if err != nil {
		return p, err
	}
	if err := n.takeRenewed(); err != nil {
		return p, err
	}
	p.send = list.Machines.Select(func(m input.Machine) bool {
		if err != nil {
			return false
		}
		l, ok := records[m.ID]
		renews := false
		if ok {
			renews, err = n.renews(s, l)
		}
		return p.sort(m, l, ok, renews, n)
	})
	if err != nil {
		return p, err
	}
	p.leaving = notListed(planned, list, leftOut)
	p.records, p.elsewhere = records, n.ended
	return p, s.previewTenant(ctx, &p, leftOut, n)
}

// sort says whether a machine of the list is to be sent, and notes what is known of
// it.
func (p *preview) sort(m input.Machine, l journal.Live, ok, renews bool, n *renewal) bool {
	switch k := (known{m, l}); {
	case !ok:
		_, renewed := n.renewed[m.ID]
		if was, ok := n.was[m.ID]; ok && !renewed {
			p.again = append(p.again, known{m, was})
		} else if ended, ok := n.ended[m.ID]; ok && !renewed {
			p.before = append(p.before, known{m, ended})
		}
		return true
	case renews:
		p.again = append(p.again, k)
		return true
	case l.State == journal.Sending, l.State == journal.InDoubt:
		p.doubted = append(p.doubted, k)
	case l.State.Live():
		p.settled = append(p.settled, k)
	default:
		p.ended = append(p.ended, k)
	}
	return false
}

// previewTenant takes out what another host has sent.
func (s *session) previewTenant(ctx context.Context, p *preview, leftOut []omitted, n *renewal) error {
	if p.send.Len() == 0 {
		return nil
	}
	if err := s.openLists(); err != nil {
		return err
	}
	wanted := idsOf(p.send, leftOut) // what is left out for whoever asks what became of it
	tenant, err := s.directory.ReadTenant(ctx, wanted.Has)
	if errors.Is(err, runner.ErrTenantUnread) {
		p.blind = true
		return nil
	}
	if err != nil {
		return err
	}
	p.standing = tenant.Standing
	p.compare(&tenant, n)
	return nil
}

// compare takes out of the machines to send those for which the tenant has an action,
// but for actions that a person knows of.
func (p *preview) compare(tenant *runner.Tenant, n *renewal) {
	again := make(map[string]journal.State, len(p.again))
	for _, k := range p.again {
		again[k.machine.ID] = k.State
	}
	p.send = p.send.Select(func(m input.Machine) bool {
		past, planned := n.renewed[m.ID]
		state, renews := again[m.ID]
		if state == journal.Succeeded || n.f.again && !renews && !planned {
			past = tenant.Ended[m.ID]
		}
		_, stands := tenant.Adoptable(m.ID, past)
		done, succeeded := tenant.Standing[m.ID]
		switch {
		case stands:
			p.adopted = append(p.adopted, m)
			p.again, p.before = without(p.again, m), without(p.before, m)
		case succeeded && n.f.again && !renews && !planned:
			// The journal does not know of the success.
			p.before = without(p.before, m)
			p.again = append(p.again, known{m, journal.Live{MachineID: m.ID, State: journal.Succeeded, Updated: done.LastUpdated}})
			p.past[m.ID] = past
		case state == journal.Succeeded:
			p.past[m.ID] = past
		}
		return !stands
	})
}

// idsOf are the ids of all these machines.
func idsOf(machines input.Machines, leftOut []omitted) *input.IDs {
	var ids input.IDs
	for m := range machines.All() {
		ids.Add(m.ID)
	}
	for _, m := range leftOut {
		ids.Add(m.ID)
	}
	return &ids
}

func without(all []known, m input.Machine) []known {
	return slices.DeleteFunc(all, func(k known) bool { return k.machine.ID == m.ID })
}

// campaign returns the campaign of that name, nil if there is none.
func (s *session) campaign(name string) (*journal.Campaign, error) {
	if s.journal == nil {
		return nil, nil //nolint:nilnil // no journal, no campaign
	}
	c, err := s.journal.Campaign(name)
	if errors.Is(err, journal.ErrNoCampaign) {
		return nil, nil //nolint:nilnil // see above
	}
	return c, err
}

// records finds the machines that have an outcome, or may have: live in any
// campaign, or ended in this one; and those that this one has planned.
func (s *session) records(campaign string) (map[string]journal.Live, []journal.Standing, error) {
	found, planned := map[string]journal.Live{}, []journal.Standing(nil)
	c, err := s.campaign(campaign)
	if err != nil || s.journal == nil {
		return found, nil, err
	}
	if c != nil {
		for st, err := range c.Standing() {
			switch {
			case err != nil:
				return nil, nil, err
			case st.State == journal.Planned:
				planned = append(planned, st)
			case st.State.Final():
				found[st.MachineID] = journal.Live{MachineID: st.MachineID, Campaign: campaign, State: st.State, Updated: st.Updated}
			}
		}
	}
	for l, err := range s.journal.Live() {
		if err != nil {
			return nil, nil, err
		}
		if l.PassedTo != campaign {
			found[l.MachineID] = l
		}
	}
	return found, planned, nil
}

// notListed returns the machines that a list no longer holds.
func notListed(planned []journal.Standing, list *input.List, leftOut []omitted) []journal.Standing {
	if len(planned) == 0 {
		return nil
	}
	listed := idsOf(list.Machines, leftOut)
	return slices.DeleteFunc(planned, func(st journal.Standing) bool { return listed.Has(st.MachineID) })
}
