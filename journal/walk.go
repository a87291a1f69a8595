package journal

import (
	"bytes"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"
)

// held is a machine's record in a campaign, inside a transaction.
type held struct {
	campaign   uint32
	key, value []byte
}

// group is all that the journal holds of one machine: one record a campaign.
type group struct {
	id      rawID
	records []held
	err     error // with it the walk ends
}

// record reads the machine's record in a campaign; nil when there is none.
func (g *group) record(campaign uint32) (*record, error) {
	for _, h := range g.records {
		if h.campaign == campaign {
			return decodeRecord(h.key, h.value)
		}
	}
	return nil, nil
}

// machineGroups walks over the machines in the order of their ids, from the
// given one on, at most limit of them. What it yields is valid until the next.
//
// Keys that do not ascend are damage that would otherwise make a walk endless.
func machineGroups(bucket *bolt.Bucket, from rawID, limit int) iter.Seq[*group] {
	return func(yield func(*group) bool) {
		cursor := bucket.Cursor()
		var g group
		var last []byte
		for key, value := cursor.Seek(from[:]); key != nil; key, value = cursor.Next() {
			id, campaign, err := splitKey(key)
			if err == nil && bytes.Compare(key, last) <= 0 {
				err = fmt.Errorf("%w: key %x out of order", ErrDamaged, key)
			}
			if err != nil {
				yield(&group{err: err})
				return
			}
			if len(g.records) > 0 && id != g.id {
				if limit--; !yield(&g) || limit == 0 {
					return
				}
				g.records = g.records[:0]
			}
			g.id, last = id, key
			g.records = append(g.records, held{campaign, key, value})
		}
		if len(g.records) > 0 {
			yield(&g)
		}
	}
}

// after returns where a walk goes on that has seen the machine id; false after
// the last possible one.
func (id rawID) after() (rawID, bool) {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			return id, true
		}
	}
	return id, false
}

func compareIDs(a, b rawID) int { return bytes.Compare(a[:], b[:]) }

// sight is what one campaign sees of a machine: its own record, and the one by
// which another campaign holds the machine where its own is only planned.
type sight struct {
	own, other *held
	ownHeader  header
	header     header // the one that counts
}

// sight returns what the campaign sees of a group; false when the machine is not
// in it.
func (c *Campaign) sight(g *group) (sight, bool, error) { return sightOf(g, c.number) }

func sightOf(g *group, campaign uint32) (s sight, ok bool, err error) {
	for i := range g.records {
		if g.records[i].campaign == campaign {
			s.own = &g.records[i]
		}
	}
	if s.own == nil {
		return s, false, nil
	}
	if s.ownHeader, _, err = decodeHeader(s.own.key, s.own.value); err != nil {
		return s, false, err
	}
	s.header = s.ownHeader
	if s.ownHeader.state != Planned {
		return s, true, nil
	}
	for i := range g.records {
		h := &g.records[i]
		if h == s.own {
			continue
		}
		other, _, err := decodeHeader(h.key, h.value)
		if err != nil {
			return s, false, err
		}
		if other.holds(campaign) && (s.other == nil || other.live(h.campaign)) {
			s.other, s.header = h, other
			s.header.state = other.standing()
		}
	}
	return s, true, nil
}

func (s *sight) settledBy(j *Journal) (string, error) {
	if s.other == nil {
		return "", nil
	}
	return j.nameOf(s.other.campaign)
}
