package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Event is one entry of the journal's log, which is only ever added to.
type Event struct {
	Seq       uint64    `json:"seq,omitempty"` // from 1, without gaps
	Kind      Kind      `json:"event"`
	Time      time.Time `json:"time"`
	Campaign  string    `json:"campaign"`
	MachineID string    `json:"machine_id,omitempty"`
	From      State     `json:"from,omitempty"`
	To        State     `json:"to,omitempty"`
	Attempt   int       `json:"attempt,omitempty"`
	Token     uint64    `json:"token,omitempty,string"` // with KindIntent and KindCancelling
	ActionID  string    `json:"action_id,omitempty"`
	Origin    Origin    `json:"origin,omitempty"`
	Failure   *Failure  `json:"error,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Operator  string    `json:"operator,omitempty"`
	// Authorised is how often the machine was authorised to be sent again until then.
	Authorised int       `json:"authorised,omitempty"`
	By         string    `json:"by,omitempty"`       // with KindAuthorised, KindSuperseded and KindSalvaged: the campaign that the machine's success does not hold back
	Info       *Info     `json:"info,omitempty"`     // with KindStarted, KindUpdated and KindEnlisted, as it was then
	Changes    *Enlisted `json:"changes,omitempty"`  // with KindEnlisted
	Machines   int       `json:"machines,omitempty"` // with KindEnlisted the campaign's machines, with KindPrior those it concerns
}

// storedEvent is an event with what it is stored as.
type storedEvent struct {
	Event
	body []byte // the event as JSON, without Seq, which the key holds
	hash digest
}

func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// An event's value: the event as JSON, its hash and the checksum.
func encodeEvent(before digest, seq uint64, e *Event) (value []byte, hash digest, err error) {
	stored := *e
	stored.Seq = 0
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the body is exported as it is
	if err := encoder.Encode(&stored); err != nil {
		return nil, hash, err
	}
	object := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	hash = sha256.Sum256(hashedLine(nil, before, seq, object))
	return seal(eventKey(seq), append(object, hash[:]...)), hash, nil
}

// decodeEvent reads a value. The body is the value's own memory. Whether the
// hash is right shows only next to the event before.
func decodeEvent(key, value []byte) (storedEvent, error) {
	var e storedEvent
	if len(key) != 8 {
		return e, fmt.Errorf("%w: event key of %d bytes", ErrDamaged, len(key))
	}
	seq := binary.BigEndian.Uint64(key)
	sealed, err := unseal(key, value)
	if err != nil {
		return e, fmt.Errorf("event %d: %w", seq, err)
	}
	n := len(sealed) - len(e.hash)
	if n < 2 || sealed[0] != '{' || sealed[n-1] != '}' {
		return e, fmt.Errorf("%w: event %d is no object with a hash", ErrDamaged, seq)
	}
	e.body, e.hash = sealed[:n], digest(sealed[n:])
	if err := json.Unmarshal(e.body, &e.Event); err != nil {
		return e, fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, err)
	}
	if e.Kind == "" {
		return e, fmt.Errorf("%w: event %d is of no kind", ErrDamaged, seq)
	}
	e.Seq = seq
	return e, nil
}
