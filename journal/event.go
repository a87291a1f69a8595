package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
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
	stored []byte // without Seq, which the key holds
	hash   digest
}

func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// An event's value: its short form, or where it has none the event as JSON; its hash
// and the checksum.
func encodeEvent(before digest, seq uint64, e *Event) (value []byte, hash digest, err error) {
	object, err := e.object()
	if err != nil {
		return nil, hash, err
	}
	hash = sha256.Sum256(hashedLine(nil, before, seq, object))
	stored := shorten(e, object)
	if stored == nil {
		stored = object
	}
	return seal(eventKey(seq), append(stored, hash[:]...)), hash, nil
}

// object returns the event as a JSON object, without Seq: what the chain hashes and
// an export shows. It is the same for ever.
func (e *Event) object() ([]byte, error) {
	if e.plain() {
		return e.appendPlain(make([]byte, 0, 512)), nil
	}
	numberless := *e
	numberless.Seq = 0
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the body is exported as it is
	err := encoder.Encode(&numberless)
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), err
}

// object returns what the event was stored from.
func (e *storedEvent) object() []byte {
	if e.stored[0] == shortForm {
		return e.appendPlain(nil)
	}
	return e.stored
}

// decodeEvent reads a value, whose memory the event shares. Whether the hash is right
// shows only next to the event before.
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
	if n < 2 {
		return e, fmt.Errorf("%w: event %d has no hash", ErrDamaged, seq)
	}
	e.stored, e.hash = sealed[:n], digest(sealed[n:])
	if e.Event, err = readEvent(e.stored); err != nil {
		return e, fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, err)
	}
	e.Seq = seq
	return e, nil
}

func readEvent(stored []byte) (e Event, err error) {
	switch {
	case stored[0] == shortForm:
		return unfold(stored)
	case stored[0] != '{' || stored[len(stored)-1] != '}':
		return e, errors.New("neither a short form nor an object")
	}
	if err = json.Unmarshal(stored, &e); err == nil && e.Kind == "" {
		err = errors.New("of no kind")
	}
	return e, err
}
