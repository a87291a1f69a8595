package journal

import (
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Recover puts every machine in doubt, in all campaigns, that is still sending,
// and returns them: a process ended during these requests, and nobody knows
// whether they had an effect. To be called once, before a run sends anything.
func (j *Journal) Recover() ([]Entry, error) {
	const op = "recover"
	keys, err := j.sending(op)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(keys, chunkSize) {
		if err := j.do(op, func(b *batch) error { return j.doubtAll(b, chunk) }); err != nil {
			return nil, err
		}
	}
	entries := make([]Entry, 0, len(keys))
	for _, key := range keys {
		id, number, err := splitKey(key)
		if err != nil {
			return nil, j.explain(op, err)
		}
		e, err := j.campaignOf(number).Entry(id.String())
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// sending returns the keys of all records in the state sending.
func (j *Journal) sending(op string) ([][]byte, error) {
	var keys [][]byte
	err := j.view(op, func(tx *bolt.Tx) error {
		if some, err := j.readSending(tx); err != nil || !some {
			return err
		}
		j.readAll()
		for g := range machineGroups(tx.Bucket(machineBucket), rawID{}, -1) {
			if g.err != nil {
				return g.err
			}
			for _, h := range g.records {
				head, _, err := decodeHeader(h.key, h.value)
				if err != nil {
					return err
				}
				if _, err := j.nameOf(h.campaign); err != nil {
					return err
				}
				if head.state == Sending {
					keys = append(keys, slices.Clone(h.key))
				}
			}
		}
		return nil
	})
	return keys, err
}

func (j *Journal) doubtAll(b *batch, keys [][]byte) error {
	ch := changes{b: b}
	for _, key := range keys {
		r, err := b.record(key)
		if err != nil {
			return err
		}
		if r == nil || r.state != Sending {
			continue // somebody recorded its outcome since it was read
		}
		id, number, err := splitKey(key)
		if err != nil {
			return err
		}
		name, err := j.nameOf(number)
		if err != nil {
			return err
		}
		r.state = InDoubt
		r.Failure = &Failure{Reason: ReasonProcessEnded, Message: "process ended during the request"}
		ch.add(key, r, &Event{Kind: KindDoubted, Campaign: name, MachineID: id.String(), From: Sending, To: InDoubt,
			Attempt: int(r.attempts), Authorised: int(r.authorised), Failure: r.Failure})
	}
	ch.write()
	return nil
}

func (j *Journal) campaignOf(number uint32) *Campaign {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.campaigns[number]
}
