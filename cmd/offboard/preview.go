package main

import (
	"errors"

	"offboard/input"
	"offboard/journal"
)

// preview is what a run of a list would do, found without changing anything.
type preview struct {
	send    []input.Machine
	settled []known // accepted or further, in whichever campaign
	doubted []known // in doubt: asked about, not sent
	ended   []known // rejected or ended otherwise in this campaign
}

// known is a machine of the list that the journal has something to say of.
type known struct {
	machine input.Machine
	journal.Live
}

// previewOf compares a list with the journal, which may be nil. A machine that
// any campaign holds live is not sent, nor is one that this campaign has an
// outcome for.
func previewOf(j *journal.Journal, campaign string, machines []input.Machine) (preview, error) {
	records, err := outcomes(j, campaign)
	if err != nil {
		return preview{}, err
	}
	var p preview
	for _, m := range machines {
		l, ok := records[m.ID]
		switch k := (known{m, l}); {
		case !ok:
			p.send = append(p.send, m)
		case l.State == journal.Sending, l.State == journal.InDoubt:
			p.doubted = append(p.doubted, k)
		case l.State.Live():
			p.settled = append(p.settled, k)
		default:
			p.ended = append(p.ended, k)
		}
	}
	return p, nil
}

// outcomes finds the machines that have an outcome, or may have: live in any
// campaign, or ended in this one.
func outcomes(j *journal.Journal, campaign string) (map[string]journal.Live, error) {
	found := map[string]journal.Live{}
	if j == nil {
		return found, nil
	}
	c, err := j.Campaign(campaign)
	if err != nil && !errors.Is(err, journal.ErrNoCampaign) {
		return nil, err
	}
	if c != nil {
		for s, err := range c.Standing() {
			if err != nil {
				return nil, err
			}
			if s.State.Final() {
				found[s.MachineID] = journal.Live{MachineID: s.MachineID, Campaign: campaign, State: s.State, Updated: s.Updated}
			}
		}
	}
	for l, err := range j.Live() {
		if err != nil {
			return nil, err
		}
		found[l.MachineID] = l
	}
	return found, nil
}
