package journal

import (
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
	Token     uint64    `json:"token,omitempty,string"` // with KindIntent
	ActionID  string    `json:"action_id,omitempty"`
	Origin    Origin    `json:"origin,omitempty"`
	Failure   *Failure  `json:"error,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Operator  string    `json:"operator,omitempty"`
	Info      *Info     `json:"info,omitempty"`     // with KindStarted, KindUpdated and KindEnlisted, as it was then
	Changes   *Enlisted `json:"changes,omitempty"`  // with KindEnlisted
	Machines  int       `json:"machines,omitempty"` // with KindEnlisted the campaign's machines, with KindPrior those it concerns
}

func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func encodeEvent(key []byte, e *Event) ([]byte, error) {
	stored := *e
	stored.Seq = 0 // the key holds it
	body, err := json.Marshal(&stored)
	if err != nil {
		return nil, err
	}
	return seal(key, body), nil
}

func decodeEvent(key, value []byte) (Event, error) {
	body, err := unseal(key, value)
	if err != nil {
		return Event{}, err
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("%w: event: %w", ErrDamaged, err)
	}
	if len(key) != 8 {
		return Event{}, fmt.Errorf("%w: event key of %d bytes", ErrDamaged, len(key))
	}
	e.Seq = binary.BigEndian.Uint64(key)
	return e, nil
}
