package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// countBucket holds how many machines of every campaign are in each state, so that
// nobody has to read them all to know. It is written in the transaction of the
// records. While there are few campaigns, bbolt keeps it in the root page, which
// every commit writes anyway. A journal from before it has none, and is counted.
var countBucket = []byte("counts")

func countKey(campaign uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte("n"), campaign)
}

// encode returns a value: in four bytes each how many machines another campaign
// settled, and how many are in every state; the checksum.
func (c *Counts) encode(key []byte) ([]byte, error) {
	v := make([]byte, 0, 4*(stateCount+1)+4)
	for i, n := range c.byState {
		if i == 0 {
			n = c.settled
		}
		if n < 0 {
			return nil, fmt.Errorf("%w: %d machines of campaign %x in state %d", ErrDamaged, n, key, i)
		}
		v = binary.BigEndian.AppendUint32(v, uint32(n)) //nolint:gosec // counts machines
	}
	return seal(key, v), nil
}

// readCounts reads what is counted of a campaign; nothing of one without machines.
func readCounts(bucket *bolt.Bucket, campaign uint32) (Counts, error) {
	var c Counts
	key := countKey(campaign)
	value := bucket.Get(key)
	if value == nil {
		return c, nil
	}
	body, err := unseal(key, value)
	if err == nil && len(body) != 4*len(c.byState) {
		err = fmt.Errorf("%w: counts of %d bytes", ErrDamaged, len(body))
	}
	if err != nil {
		return c, err
	}
	c.settled = int(binary.BigEndian.Uint32(body))
	for s := Planned; s.valid(); s++ {
		c.byState[s] = int(binary.BigEndian.Uint32(body[4*s:]))
	}
	return c, nil
}

// readSending says whether any record may be sending.
func (j *Journal) readSending(tx *bolt.Tx) (bool, error) {
	bucket := tx.Bucket(countBucket)
	if bucket == nil {
		return true, nil
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	for number := range j.campaigns {
		if c, err := readCounts(bucket, number); err != nil || c.byState[Sending] > 0 {
			return true, err
		}
	}
	return false, nil
}

// tally counts the machine of a group, so many times, in every campaign that has
// it, as that campaign sees it.
func tally(g *group, times int, of func(campaign uint32) (*Counts, error)) error {
	for _, h := range g.records {
		s, _, err := sightOf(g, h.campaign)
		if err != nil {
			return err
		}
		c, err := of(h.campaign)
		if err != nil {
			return err
		}
		c.byState[s.header.state] += times
		if s.other != nil {
			c.settled += times
		}
	}
	return nil
}

// countAnew keeps the counts right when a record gets another value: how other
// campaigns see the machine may change with it.
func (b *batch) countAnew(key, value []byte) error {
	if b.counted == nil {
		return nil
	}
	id, campaign, err := splitKey(key)
	if err != nil {
		return err
	}
	whole, err := b.look(id)
	if err != nil {
		return err
	}
	if err := tally(whole, -1, b.countsOf); err != nil {
		return err
	}
	at, found := slices.BinarySearchFunc(whole.records, campaign, func(h held, c uint32) int { return int(h.campaign) - int(c) })
	if !found {
		whole.records = slices.Insert(whole.records, at, held{})
	}
	whole.records[at] = held{campaign, key, value}
	return tally(whole, 1, b.countsOf)
}

func (b *batch) countsOf(campaign uint32) (*Counts, error) {
	if c := b.counts[campaign]; c != nil {
		return c, nil
	}
	c, err := readCounts(b.counted, campaign)
	if b.counts == nil {
		b.counts = map[uint32]*Counts{}
	}
	b.counts[campaign] = &c
	return &c, err
}

// putCounts writes what has changed of the counts, at the end of a transaction.
func (b *batch) putCounts() error {
	var failed error
	for campaign, c := range b.counts {
		key := countKey(campaign)
		value, err := c.encode(key)
		if err == nil {
			err = b.counted.Put(key, value)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
