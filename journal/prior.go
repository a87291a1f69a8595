package journal

import "slices"

// chunkSize is how many machines one transaction of a bulk change concerns: a
// few megabytes that other operations wait for.
const chunkSize = 2000

// changes are the writes of a bulk operation, planned in full before the first
// of them is made.
type changes struct {
	b       *batch
	keys    [][]byte
	records []*record
	events  []*Event
}

func (ch *changes) add(key []byte, r *record, e *Event) {
	r.updated = ch.b.now
	ch.note(key, r)
	if e != nil {
		ch.events = append(ch.events, e)
	}
}

// note is for what must not change since when the machine stands as it does.
func (ch *changes) note(key []byte, r *record) {
	ch.keys, ch.records = append(ch.keys, key), append(ch.records, r)
}

func (ch *changes) write() {
	for i, key := range ch.keys {
		ch.b.putRecord(key, ch.records[i])
	}
	for _, e := range ch.events {
		ch.b.putEvent(e)
	}
}

// Prior notes ids of actions, by machine, that are older than any later attempt
// of ours, so that they never settle one. Machines that are not in the campaign
// are left aside. After an error a part may be on disk; noting it again does no
// harm.
func (c *Campaign) Prior(known map[string][]string) error {
	const op = "note earlier actions of"
	ids := make([]rawID, 0, len(known))
	for machine := range known {
		id, err := parseID(machine)
		if err != nil {
			return c.explain(move{op: op}, machine, err)
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareIDs)
	for chunk := range slices.Chunk(ids, chunkSize) {
		if err := c.j.do(op, func(b *batch) error { return c.notePrior(b, chunk, known) }); err != nil {
			return c.j.explainCampaign(op, c.name, err)
		}
	}
	return nil
}

func (c *Campaign) notePrior(b *batch, ids []rawID, known map[string][]string) error {
	ch := changes{b: b}
	for _, id := range ids {
		key := id.key(c.number)
		r, err := b.record(key)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		before := len(r.Prior)
		if r.Prior = union(r.Prior, known[id.String()]); len(r.Prior) > before {
			ch.add(key, r, nil)
		}
	}
	if len(ch.keys) > 0 {
		ch.events = []*Event{{Kind: KindPrior, Campaign: c.name, Machines: len(ch.keys)}}
	}
	ch.write()
	return nil
}

// union appends the elements of more that are not in all yet.
func union(all, more []string) []string {
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
