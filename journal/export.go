package journal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	bolt "go.etcd.io/bbolt"
)

// exportedMachine is a line of an export that describes a record. It is a
// written contract: fields are added, never renamed or removed.
type exportedMachine struct {
	Kind      string            `json:"kind"` // "machine"
	MachineID string            `json:"machine_id"`
	State     State             `json:"state"` // the record's own; see SettledBy
	Campaign  string            `json:"campaign"`
	Origin    Origin            `json:"origin"`
	Attempts  int               `json:"attempts"`
	Action    json.RawMessage   `json:"action"` // null without one
	Error     *Failure          `json:"error"`  // null without one
	Name      string            `json:"name"`
	Comment   string            `json:"comment"`
	Carried   map[string]string `json:"carried"`
	Row       int               `json:"row"`
	Reason    string            `json:"reason,omitempty"`
	SettledBy string            `json:"settled_by,omitempty"` // planned here, and settled by this campaign
	// Authorised is how often the machine was authorised to be sent again, Word why
	// the last time; SupersededBy may send it although it has succeeded here.
	Authorised   int           `json:"authorised,omitempty"`
	Word         string        `json:"word,omitempty"`
	SupersededBy string        `json:"superseded_by,omitempty"`
	SentAt       time.Time     `json:"sent_at,omitzero"`
	Answered     time.Time     `json:"answered_at,omitzero"`
	Updated      time.Time     `json:"updated_at"`
	Cancel       *Cancellation `json:"cancel,omitempty"`
}

// Export writes the journal as JSON lines: first one of kind "machine" for every
// record, in the order of machine ids and then of campaigns, then one of kind
// "event" for every event, in its order. Times are RFC 3339 in UTC.
//
// The lines of events are chained by hashes and can be verified without the
// journal, see docs/journal-export.md. Unlike what a campaign shows of itself, a
// record's line tells the record's own state. An error of w is returned as it is, after a part was written.
func (j *Journal) Export(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 1<<16)
	out := json.NewEncoder(buffered)
	out.SetEscapeHTML(false)
	for line, err := range j.exportedMachines {
		if err == nil {
			err = out.Encode(line)
		}
		if err != nil {
			return err
		}
	}
	if err := j.exportEvents(buffered); err != nil {
		return err
	}
	return buffered.Flush()
}

func (j *Journal) exportEvents(w io.Writer) error {
	var before digest
	var line []byte
	for e, err := range j.storedEvents {
		if err != nil {
			return err
		}
		line = append(exportedLine(line[:0], before, &e), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
		before = e.hash
	}
	return nil
}

// exportedMachines yields the lines of all records, piece by piece.
func (j *Journal) exportedMachines(yield func(*exportedMachine, error) bool) {
	var from rawID
	for more := true; more; {
		var lines []*exportedMachine
		err := j.view("export", func(tx *bolt.Tx) error {
			seen, last := 0, from
			for g := range machineGroups(tx.Bucket(machineBucket), from, entryChunk) {
				group, err := j.exportGroup(g)
				if err != nil {
					return err
				}
				lines = append(lines, group...)
				seen, last = seen+1, g.id
			}
			next, ok := last.after()
			from, more = next, ok && seen == entryChunk
			return nil
		})
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
			return
		}
	}
}

func (j *Journal) exportGroup(g *group) ([]*exportedMachine, error) {
	if g.err != nil {
		return nil, g.err
	}
	var lines []*exportedMachine
	for _, h := range g.records {
		c := j.campaignOf(h.campaign)
		if c == nil {
			return nil, fmt.Errorf("%w: record of the unknown campaign %d", ErrDamaged, h.campaign)
		}
		r, err := decodeRecord(h.key, h.value)
		if err != nil {
			return nil, err
		}
		s, _, err := c.sight(g)
		if err != nil {
			return nil, err
		}
		line := exportRecord(g.id, c, r)
		if line.SettledBy, err = s.settledBy(j); err != nil {
			return nil, err
		}
		if r.passed != 0 {
			if line.SupersededBy, err = j.nameOf(r.passed); err != nil {
				return nil, err
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func exportRecord(id rawID, c *Campaign, r *record) *exportedMachine {
	line := &exportedMachine{
		Kind: "machine", MachineID: id.String(), State: r.state, Campaign: c.name, Origin: r.origin,
		Attempts: int(r.attempts), Error: r.Failure, Name: r.Name, Comment: r.Comment, Carried: c.carried(r),
		Authorised: int(r.authorised), Word: r.Word, Row: int(r.row), Reason: r.Reason, SentAt: r.Sent, Answered: r.Answered, Updated: r.updated,
		Cancel: r.Cancel,
	}
	if len(r.action) > 0 {
		line.Action = r.action
	}
	if line.Carried == nil {
		line.Carried = map[string]string{}
	}
	return line
}
