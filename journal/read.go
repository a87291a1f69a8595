package journal

import (
	"encoding/json"
	"iter"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// Reading goes piece by piece, each in a transaction of its own: between
	// them the caller may take its time or write to the journal, which inside of
	// a transaction could wait for itself for ever.
	standingChunk = 8192
	entryChunk    = 1024
	eventChunk    = 4096
)

// Entries yields all machines of the campaign in the order of their ids. What
// changes meanwhile is seen or not. After an error, which is yielded alone, it
// ends.
func (c *Campaign) Entries() iter.Seq2[Entry, error] {
	return readMachines(c.j, "read machines", c.name, entryChunk, seen(c, nil, (*Campaign).entry))
}

// Standing yields the machines of the campaign that are in one of the states, or
// without any all machines, in the order of their ids and in short form. What
// changes meanwhile is seen or not. After an error, which is yielded alone, it ends.
func (c *Campaign) Standing(states ...State) iter.Seq2[Standing, error] {
	const op = "read machines"
	read := seen(c, states, (*Campaign).standing)
	if len(states) == 0 {
		return readMachines(c.j, op, c.name, standingChunk, read)
	}
	return readHalves(c.j, op, c.name, standingChunk, read)
}

// Entry returns what the campaign knows of a machine, or an error that is
// [ErrNotFound] or [ErrMachineID].
func (c *Campaign) Entry(machineID string) (Entry, error) {
	var found *Entry
	id, err := parseID(machineID)
	if err == nil {
		err = c.j.view("read machine", func(tx *bolt.Tx) error {
			for g := range machineGroups(tx.Bucket(machineBucket), id, 1) {
				if g.err != nil || g.id != id {
					return g.err
				}
				s, ok, err := c.sight(g)
				if err != nil || !ok {
					return err
				}
				e, err := c.entry(g.id, &s)
				found = &e
				return err
			}
			return nil
		})
	}
	if err == nil && found == nil {
		err = ErrNotFound
	}
	if err != nil {
		return Entry{}, c.explain(move{op: "read"}, machineID, err)
	}
	return *found, nil
}

// Live is a machine that some campaign holds live, see [State.Live]. No campaign
// sends it, but for the one that was authorised to.
type Live struct {
	MachineID string
	Campaign  string // whose record it is
	State     State
	Updated   time.Time // since when it stands so
	PassedTo  string    // the campaign that a success does not hold back; "" none
}

// Live yields the live machines of all campaigns in the order of their ids, those
// included that have once succeeded in a campaign that was to send them again. What
// changes meanwhile is seen or not. After an error, which is yielded alone, it
// ends.
func (j *Journal) Live() iter.Seq2[Live, error] {
	return readMachines(j, "read live machines", "", standingChunk, j.live)
}

// live returns the live record of a machine, of which there is at most one.
func (j *Journal) live(g *group, l *Live) (bool, error) {
	var by uint32
	var found header
	for _, r := range g.records {
		h, _, err := decodeHeader(r.key, r.value)
		if err != nil {
			return false, err
		}
		if h.holding() && (by == 0 || h.live(r.campaign)) {
			by, found = r.campaign, h
		}
	}
	if by == 0 {
		return false, nil
	}
	err := j.brief(l, g.id, by, found)
	if l.State = found.standing(); err == nil && found.passed != 0 && l.State == Succeeded {
		l.PassedTo, err = j.nameOf(found.passed)
	}
	return true, err
}

func (j *Journal) brief(l *Live, id rawID, campaign uint32, h header) error {
	name, err := j.nameOf(campaign)
	*l = Live{MachineID: id.String(), Campaign: name, State: h.state, Updated: h.updated}
	return err
}

// Ended yields the machines that no campaign holds and that have ended in one,
// each as it ended last, in the order of their ids. After an error, which is
// yielded alone, it ends.
func (j *Journal) Ended() iter.Seq2[Live, error] {
	return readMachines(j, "read ended machines", "", standingChunk, j.ended)
}

func (j *Journal) ended(g *group, l *Live) (bool, error) {
	var by uint32
	var last header
	for _, r := range g.records {
		h, _, err := decodeHeader(r.key, r.value)
		if err != nil || h.holding() {
			return false, err
		}
		if h.state.Final() && (by == 0 || h.updated.After(last.updated)) {
			by, last = r.campaign, h
		}
	}
	if by == 0 {
		return false, nil
	}
	return true, j.brief(l, g.id, by, last)
}

// Counts returns how many machines of the campaign are in each state, at one
// moment. It reads none of them.
func (c *Campaign) Counts() (Counts, error) {
	var counts Counts
	err := c.j.view("count machines", func(tx *bolt.Tx) (err error) {
		if bucket := tx.Bucket(countBucket); bucket != nil {
			counts, err = readCounts(bucket, c.number)
			return err
		}
		for g := range machineGroups(tx.Bucket(machineBucket), rawID{}, -1) {
			if g.err != nil {
				return g.err
			}
			s, ok, err := c.sight(g)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			counts.byState[s.header.state]++
			if s.other != nil {
				counts.settled++
			}
		}
		return nil
	})
	return counts, c.j.explainCampaign("count machines", c.name, err)
}

// seen reads what one campaign sees of a machine, if it is in one of the states
// or none is asked for.
func seen[T any](c *Campaign, states []State, read func(*Campaign, rawID, *sight) (T, error)) func(*group, *T) (bool, error) {
	return func(g *group, item *T) (bool, error) {
		s, ok, err := c.sight(g)
		if err != nil || !ok || len(states) > 0 && !slices.Contains(states, s.header.state) {
			return false, err
		}
		*item, err = read(c, g.id, &s)
		return true, err
	}
}

func (c *Campaign) standing(id rawID, s *sight) (Standing, error) {
	by, err := s.settledBy(c.j)
	return Standing{
		MachineID: id.String(), Row: int(s.ownHeader.row), State: s.header.state,
		Attempts: int(s.ownHeader.attempts), NotFound: int(s.ownHeader.notFound),
		Updated: s.header.updated, SettledBy: by, Authorised: int(s.ownHeader.authorised),
	}, err
}

func (c *Campaign) entry(id rawID, s *sight) (Entry, error) {
	own, err := decodeRecord(s.own.key, s.own.value)
	if err != nil {
		return Entry{}, err
	}
	counts := own
	if s.other != nil {
		if counts, err = decodeRecord(s.other.key, s.other.value); err != nil {
			return Entry{}, err
		}
	}
	by, err := s.settledBy(c.j)
	e := Entry{
		MachineID: id.String(), Campaign: c.name, Row: int(own.row), Name: own.Name, Comment: own.Comment,
		Carried: c.carried(own), Attempts: int(own.attempts), NotFound: int(own.notFound), Prior: own.Prior,
		SettledBy: by, Authorised: int(own.authorised), Word: own.Word, Past: own.Past,
	}
	e.take(counts)
	e.State = s.header.state
	return e, err
}

// take fills in what is true of the record that counts.
func (e *Entry) take(r *record) {
	e.State, e.Origin, e.ActionID, e.Failure, e.Reason = r.state, r.origin, r.ActionID, r.Failure, r.Reason
	e.Sent, e.Answered, e.Updated, e.Cancel = r.Sent, r.Answered, r.updated, r.Cancel
	if len(r.action) > 0 {
		e.Action = json.RawMessage(r.action)
	}
}

// carried names the record's carried values.
func (c *Campaign) carried(r *record) map[string]string {
	sets := c.stored.Load().ColumnSets
	if r.Columns >= len(sets) || len(r.Carried) == 0 {
		return nil
	}
	values := make(map[string]string, len(r.Carried))
	for i, v := range r.Carried {
		if i < len(sets[r.Columns]) {
			values[sets[r.Columns][i]] = v
		}
	}
	return values
}
