package journal

import (
	"encoding/json"
	"iter"
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
	return readMachines(c.j, "read machines", c.name, entryChunk, seen(c, (*Campaign).entry))
}

// Standing yields all machines of the campaign in the order of their ids, in
// short form. What changes meanwhile is seen or not. After an error, which is
// yielded alone, it ends.
func (c *Campaign) Standing() iter.Seq2[Standing, error] {
	return readMachines(c.j, "read machines", c.name, standingChunk, seen(c, (*Campaign).standing))
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
				s, err := c.sight(g)
				if err != nil || s == nil {
					return err
				}
				e, err := c.entry(g.id, s)
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
func (j *Journal) live(g *group) (*Live, error) {
	var by uint32
	var found header
	for _, r := range g.records {
		h, _, err := decodeHeader(r.key, r.value)
		if err != nil {
			return nil, err
		}
		if h.holding() && (by == 0 || h.live(r.campaign)) {
			by, found = r.campaign, h
		}
	}
	if by == 0 {
		return nil, nil //nolint:nilnil // a machine that nobody holds is no error
	}
	l, err := j.brief(g.id, by, found)
	if l.State = found.standing(); err == nil && found.passed != 0 && l.State == Succeeded {
		l.PassedTo, err = j.nameOf(found.passed)
	}
	return &l, err
}

func (j *Journal) brief(id rawID, campaign uint32, h header) (Live, error) {
	name, err := j.nameOf(campaign)
	return Live{MachineID: id.String(), Campaign: name, State: h.state, Updated: h.updated}, err
}

// Ended yields the machines that no campaign holds and that have ended in one,
// each as it ended last, in the order of their ids. After an error, which is
// yielded alone, it ends.
func (j *Journal) Ended() iter.Seq2[Live, error] {
	return readMachines(j, "read ended machines", "", standingChunk, j.ended)
}

func (j *Journal) ended(g *group) (*Live, error) {
	var by uint32
	var last header
	for _, r := range g.records {
		h, _, err := decodeHeader(r.key, r.value)
		if err != nil {
			return nil, err
		}
		if h.holding() {
			return nil, nil //nolint:nilnil // it is no such machine
		}
		if h.state.Final() && (by == 0 || h.updated.After(last.updated)) {
			by, last = r.campaign, h
		}
	}
	if by == 0 {
		return nil, nil //nolint:nilnil // see above
	}
	l, err := j.brief(g.id, by, last)
	return &l, err
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
			s, err := c.sight(g)
			if err != nil {
				return err
			}
			if s == nil {
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

// seen reads what one campaign sees of a machine; nil when it sees nothing.
func seen[T any](c *Campaign, read func(*Campaign, rawID, *sight) (T, error)) func(*group) (*T, error) {
	return func(g *group) (*T, error) {
		s, err := c.sight(g)
		if err != nil || s == nil {
			return nil, err
		}
		item, err := read(c, g.id, s)
		return &item, err
	}
}

// readMachines yields what read makes of every machine of the journal, but for
// those of which it makes nothing.
func readMachines[T any](j *Journal, op, campaign string, chunk int, read func(*group) (*T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var from rawID
		for more := true; more; {
			var items []T
			err := j.view(op, func(tx *bolt.Tx) (err error) {
				items, from, more, err = readChunk(tx, from, chunk, read)
				return err
			})
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, j.explainCampaign(op, campaign, err))
				return
			}
		}
	}
}

// readChunk reads the next machines of the journal, of which read may make
// nothing. It returns where to go on, and whether there is more.
func readChunk[T any](tx *bolt.Tx, from rawID, limit int, read func(*group) (*T, error)) ([]T, rawID, bool, error) {
	var items []T
	count, last := 0, from
	for g := range machineGroups(tx.Bucket(machineBucket), from, limit) {
		if g.err != nil {
			return items, from, false, g.err
		}
		count, last = count+1, g.id
		item, err := read(g)
		if err != nil {
			return items, from, false, err
		}
		if item != nil {
			items = append(items, *item)
		}
	}
	next, ok := last.after()
	return items, next, ok && count == limit, nil
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
