package journal

import "slices"

// Authorisation is a person's word that a machine is to be sent once more.
type Authorisation struct {
	MachineID string
	Reason    string // why, in the person's words
	// Again allows it for a machine that has succeeded, in this campaign or
	// another one.
	Again bool
	// Past are ids of actions that are over, beside those that the journal
	// knows. None of these ever settles the new attempt or is adopted.
	Past []string
}

// Authorise makes machines planned again that have ended in this campaign, and
// records on whose word; a planned one stays planned. The next attempt has a
// number of its own. Where the machine has succeeded, that success holds it no
// longer against this campaign, and still does against every other one; the
// record of the campaign that it succeeded in stays as it is otherwise.
//
// It is refused with [ErrNotFound], with [ErrTransition] for an excluded machine,
// with [ErrInDoubt] or [ErrSettled] for one that is sending, in doubt or accepted
// in whichever campaign, that has succeeded when Again is not set, or that another
// campaign is to send again and has not yet. It works in pieces: after an error a
// part may be on disk.
func (c *Campaign) Authorise(all []Authorisation) error {
	const op = "authorise"
	type named struct {
		id rawID
		Authorisation
	}
	list := make([]named, 0, len(all))
	for _, a := range all {
		id, err := parseID(a.MachineID)
		if err != nil {
			return c.explain(move{op: op}, a.MachineID, err)
		}
		list = append(list, named{id, a})
	}
	slices.SortStableFunc(list, func(a, b named) int { return compareIDs(a.id, b.id) })
	list = slices.CompactFunc(list, func(a, b named) bool { return a.id == b.id })
	for chunk := range slices.Chunk(list, chunkSize) {
		err := c.j.do(op, func(b *batch) error {
			ch := changes{b: b}
			for _, a := range chunk {
				if err := c.authorise(&ch, a.id, a.Authorisation); err != nil {
					return c.explain(move{op: op}, a.id.String(), err)
				}
			}
			ch.write()
			return nil
		})
		if err != nil {
			return c.j.explainCampaign(op, c.name, err)
		}
	}
	return nil
}

func (c *Campaign) authorise(ch *changes, id rawID, a Authorisation) error {
	key := id.key(c.number)
	r, err := ch.b.record(key)
	if err != nil {
		return err
	}
	if r == nil {
		return ErrNotFound
	}
	from := r.state
	if !allowed(KindAuthorised, from, Planned) || from == Succeeded && !a.Again {
		return c.misplaced(move{op: "authorise", kind: KindAuthorised, to: Planned}, r)
	}
	if !a.Again && r.holds(c.number) && from != Succeeded {
		return c.held(r.passed, r, Planned)
	}
	past, err := c.supersede(ch, id, a)
	if err != nil {
		return err
	}
	e := &Event{
		Kind: KindAuthorised, Campaign: c.name, MachineID: id.String(), From: from, To: Planned, ActionID: r.ActionID,
		Attempt: int(r.attempts), Authorised: int(r.authorised) + 1, Reason: a.Reason, Operator: c.j.operator,
	}
	if from == Succeeded || r.passed != 0 {
		r.passed, e.By = c.number, c.name
	}
	r.authorised++
	r.state, r.notFound = Planned, 0
	r.renew(a.Reason, slices.Concat(past, a.Past)...)
	ch.add(key, r, e)
	return nil
}

// renew lets a record forget how the last attempt ended, but for the actions that
// the next must not be taken for.
func (r *record) renew(word string, past ...string) {
	if r.ActionID != "" {
		past = append(past, r.ActionID)
	}
	past = slices.DeleteFunc(past, func(id string) bool { return id == "" })
	r.Past = union(r.Past, past)
	r.Prior = union(r.Prior, past)
	r.Word = word
	r.origin, r.ActionID, r.action, r.Failure, r.Reason = "", "", nil, nil, ""
}

// supersede lets the successes of other campaigns not hold the machine against
// this one, if that was said, and returns the actions that they had. It refuses
// when one of them holds it otherwise.
func (c *Campaign) supersede(ch *changes, id rawID, a Authorisation) ([]string, error) {
	var past []string
	for g := range machineGroups(ch.b.machines, id, 1) {
		if g.err != nil {
			return nil, g.err
		}
		for _, h := range g.records {
			if h.campaign == c.number {
				continue
			}
			r, err := decodeRecord(h.key, h.value)
			if err != nil {
				return nil, err
			}
			if r.ActionID != "" {
				past = append(past, r.ActionID)
			}
			if !r.holds(c.number) {
				continue
			}
			if !a.Again || !allowed(KindSuperseded, r.state, r.state) {
				return nil, c.held(h.campaign, r, Planned)
			}
			if err := c.pass(ch, h, id, r, a.Reason); err != nil {
				return nil, err
			}
		}
	}
	return past, nil
}

// pass makes this campaign the one that another's success does not hold back.
func (c *Campaign) pass(ch *changes, h held, id rawID, r *record, reason string) error {
	name, err := c.j.nameOf(h.campaign)
	if err != nil {
		return err
	}
	r.passed = c.number
	ch.add(slices.Clone(h.key), r, &Event{
		Kind: KindSuperseded, Campaign: name, MachineID: id.String(), From: r.state, To: r.state, Attempt: int(r.attempts),
		Authorised: int(r.authorised), By: c.name, Reason: reason, Operator: c.j.operator,
	})
	return nil
}
