package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// maxProblems is how many problems a report names.
const maxProblems = 100

// Report is what [Journal.Check] found.
type Report struct {
	Campaigns int
	Records   int
	Events    int
	Chain     Chain    // the log's, as far as it could be read
	BadEvent  uint64   // the first event that is missing or not what was written; 0: all are sound
	Problems  []string // the first 100
	Total     int      // of problems
}

func (r *Report) add(format string, args ...any) {
	if r.Total++; len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// bad says that an event is not as it should be. They come in their order.
func (r *Report) bad(seq uint64, format string, args ...any) {
	r.mark(seq)
	r.add(format, args...)
}

func (r *Report) mark(seq uint64) {
	if r.BadEvent == 0 {
		r.BadEvent = seq
	}
}

// Check reads the whole journal and verifies the file's structure, every
// checksum, that the log has no gap, that its hashes form a chain, that it shows
// only transitions that exist and replays to the records, that a campaign has
// all the machines it took, and that no machine has two live records. It never
// writes.
//
// A log that was shortened or written anew is sound in itself. It is found out
// by what was noted elsewhere: the log must have been in every noted state.
//
// With problems the error is [ErrDamaged], and the report tells them. When ctx
// ends first, its error is returned.
func (j *Journal) Check(ctx context.Context, noted ...Chain) (Report, error) {
	c := &checker{j: j, ctx: ctx, noted: noted, replayed: map[string]replay{}, enlisted: map[string]int{}, counted: map[string]int{}, tallied: map[uint32]*Counts{}}
	err := j.view("check", func(tx *bolt.Tx) error {
		if err := j.checkStructure(ctx, tx, &c.Report); err != nil {
			return err
		}
		if err := c.checkEvents(tx); err != nil {
			c.add("%v", err)
			c.replayed = nil // nothing can be said of records from half a log
		}
		return errors.Join(c.checkRecords(tx), c.checkCampaigns(tx))
	})
	switch {
	case ctx.Err() != nil:
		return c.Report, j.explain("check", ctx.Err())
	case err != nil:
		c.add("%v", err)
	case c.Total > 0:
		err = j.explain("check", fmt.Errorf("%w: %d problems, the first: %s", ErrDamaged, c.Total, c.Problems[0]))
	}
	return c.Report, err
}

// checker replays the log into the states that the records should have.
type checker struct {
	Report
	j        *Journal
	noted    []Chain
	ctx      context.Context   // of the one check that the checker is for
	replayed map[string]replay // nil when the log could not be read to its end
	enlisted map[string]int    // machines by campaign, as the last enlistment counted them
	counted  map[string]int
	tallied  map[uint32]*Counts
}

// replay is what the log says of one record.
type replay struct {
	state              State
	attempts, notFound int
	authorised         int
	passed             string // the campaign that the machine's success does not hold back
}

func (c *checker) checkEvents(tx *bolt.Tx) error {
	bucket := tx.Bucket(eventBucket)
	cursor := bucket.Cursor()
	var before digest
	want := uint64(0)
	c.reach(want, before)
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		want++
		if want%eventChunk == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		e, err := decodeEvent(key, value)
		if err == nil && e.Seq != want {
			err = fmt.Errorf("%w: event %d where %d belongs", ErrDamaged, e.Seq, want)
		}
		if err != nil {
			c.mark(want)
			return err
		}
		if !e.follows(before) {
			c.bad(want, "event %d: its hash is not that of its content after event %d", want, want-1)
		}
		before = e.hash
		c.Events++
		c.reach(want, before)
		c.replay(e.Event)
	}
	if bucket.Sequence() != want {
		c.bad(want+1, "the log ends at event %d of %d", want, bucket.Sequence())
	}
	for _, n := range c.noted {
		if n.Length > want {
			c.bad(want+1, "the log ends at event %d and had %d when its head was noted", want, n.Length)
		}
	}
	return nil
}

// reach holds a state of the log against what was noted of it.
func (c *checker) reach(length uint64, head digest) {
	c.Chain = Chain{Length: length, Head: head.String()}
	for _, n := range c.noted {
		if n.Length == length && n.Head != c.Chain.Head {
			c.add("the log up to event %d is not the one whose head was noted: the hash there is %s", length, head)
		}
	}
}

func (c *checker) replay(e Event) {
	if e.Kind == KindEnlisted || e.Kind == KindRebuilt {
		c.enlisted[e.Campaign] = e.Machines
	}
	if !e.Kind.moves() {
		return
	}
	if _, err := parseID(e.MachineID); err != nil {
		c.bad(e.Seq, "event %d: %v", e.Seq, err)
	}
	key := e.MachineID + e.Campaign
	before, known := c.replayed[key]
	if !known {
		// What a machine was enlisted as has no event of its own.
		if before.state = e.From; e.From != Planned && e.From != Excluded {
			c.bad(e.Seq, "event %d: the first of machine %s starts from %s", e.Seq, e.MachineID, e.From)
		}
	}
	if before.state != e.From || !allowed(e.Kind, e.From, e.To) {
		c.bad(e.Seq, "event %d: machine %s %s from %s to %s, but it was %s", e.Seq, e.MachineID, e.Kind, e.From, e.To, before.state)
	}
	before.state = e.To
	if e.Kind == KindIntent {
		before.attempts++
	}
	if e.Kind == KindReleased && e.Failure != nil && e.Failure.Reason == ReasonNotFound {
		before.notFound++
	}
	switch e.Kind {
	case KindSalvaged:
		before.attempts, before.notFound, before.authorised, before.passed = e.Attempt, 0, e.Authorised, e.By
	case KindAuthorised:
		before.authorised++
		before.notFound = 0
	default: // changes no count but those above
	}
	if e.By != "" {
		before.passed = e.By
	}
	c.replayed[key] = before
}

func (c *checker) checkRecords(tx *bolt.Tx) error {
	for g := range machineGroups(tx.Bucket(machineBucket), rawID{}, -1) {
		if g.err != nil {
			return g.err
		}
		if c.Records%standingChunk == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err := c.checkGroup(g); err != nil {
			return err
		}
	}
	for key := range c.replayed {
		c.add("the log knows machine %s of campaign %s, of which there is no record", key[:2*idSize], key[2*idSize:])
	}
	return nil
}

func (c *checker) checkGroup(g *group) error {
	live := 0
	for _, h := range g.records {
		r, err := decodeRecord(h.key, h.value)
		if err != nil {
			return err
		}
		name, err := c.j.nameOf(h.campaign)
		if err != nil {
			return err
		}
		c.Records++
		c.counted[name]++
		if r.live(h.campaign) {
			live++
		}
		c.compare(g.id.String(), name, r)
	}
	if err := tally(g, 1, c.tallyOf); err != nil {
		return err
	}
	if live > 1 {
		c.add("machine %s has %d live records", g.id, live)
	}
	return nil
}

// compare holds a record against the log.
func (c *checker) compare(id, name string, r *record) {
	if c.replayed == nil {
		return
	}
	want, known := c.replayed[id+name]
	delete(c.replayed, id+name)
	if !known {
		if want.state = r.state; r.state != Planned && r.state != Excluded {
			c.add("machine %s of campaign %s is %s without an event", id, name, r.state)
		}
	}
	got := replay{r.state, int(r.attempts), int(r.notFound), int(r.authorised), ""}
	if r.passed != 0 {
		var err error
		if got.passed, err = c.j.nameOf(r.passed); err != nil {
			c.add("machine %s of campaign %s: %v", id, name, err)
		}
	}
	if got != want {
		c.add("machine %s of campaign %s is %s after %d attempts, by the log %s after %d",
			id, name, got.state, got.attempts, want.state, want.attempts)
	}
}

func (c *checker) tallyOf(campaign uint32) (*Counts, error) {
	if c.tallied[campaign] == nil {
		c.tallied[campaign] = &Counts{}
	}
	return c.tallied[campaign], nil
}

// checkCounts holds what is counted of a campaign against its records.
func (c *checker) checkCounts(tx *bolt.Tx, campaign uint32, name string) error {
	bucket := tx.Bucket(countBucket)
	if bucket == nil {
		return nil
	}
	got, err := readCounts(bucket, campaign)
	if err != nil {
		return err
	}
	if want, err := c.tallyOf(campaign); err != nil || got != *want {
		c.add("campaign %s counts its machines as %v, its records are %v", name, got.byState, want.byState)
	}
	return nil
}

func (c *checker) checkCampaigns(tx *bolt.Tx) error {
	bucket := tx.Bucket(campaignBucket)
	var last []byte
	cursor := bucket.Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		r, err := decodeCampaign(key, value)
		if err == nil && bytes.Compare(key, last) <= 0 {
			err = fmt.Errorf("%w: campaign key %x out of order", ErrDamaged, key)
		}
		if err != nil {
			return err
		}
		c.Campaigns++
		last = key
		if err := c.checkCounts(tx, binary.BigEndian.Uint32(key), r.Name); err != nil {
			return err
		}
		if want := c.enlisted[r.Name]; c.replayed != nil && (c.counted[r.Name] < want || r.Enlisted && c.counted[r.Name] > want) {
			c.add("campaign %s has %d machines, by the log %d", r.Name, c.counted[r.Name], want)
		}
	}
	if bucket.Sequence() != uint64(c.Campaigns) { //nolint:gosec // a count
		c.add("%d campaigns of %d", c.Campaigns, bucket.Sequence())
	}
	return nil
}
