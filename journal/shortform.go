package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Intents and what usually follows them are nearly all of a log. They have a short
// form, which unfolds to the very object that the chain hashes; an event of which
// that is not so is stored as that object.

const (
	shortForm   = 1 // the first byte; an object begins with {
	shortHeader = 12 + idSize
)

// shortKinds are the kinds of events that have a short form; their order is part of
// the file's schema.
var shortKinds = [...]Kind{KindIntent, KindAccepted, KindSettled}

// The fields behind the header of a short form.
const (
	fieldCampaign byte = iota + 1
	fieldAttempt       // unless it is the first
	fieldOrigin
	fieldAction
	fieldActionGUID // the same in 16 bytes
	fieldToken      // eight bytes
)

// plain says that an event has nothing but what a short form holds, in letters that
// JSON does not escape.
func (e *Event) plain() bool {
	known := Event{
		Seq: e.Seq, Kind: e.Kind, Time: e.Time, Campaign: e.Campaign, MachineID: e.MachineID, From: e.From, To: e.To,
		Attempt: e.Attempt, Token: e.Token, ActionID: e.ActionID, Origin: e.Origin,
	}
	_, id := parseID(e.MachineID)
	_, origin := e.Origin.code()
	return *e == known && slices.Contains(shortKinds[:], e.Kind) && e.From.valid() && e.To.valid() && e.Attempt >= 0 &&
		id == nil && origin && verbatim(e.Campaign) && verbatim(e.MachineID) && verbatim(e.ActionID)
}

// verbatim says that a JSON string of s is s between quotes.
func verbatim(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// appendPlain appends a plain event as a JSON object, without Seq.
func (e *Event) appendPlain(b []byte) []byte {
	text := func(before, value, after string) {
		b = append(append(append(b, before...), value...), after...)
	}
	text(`{"event":"`, string(e.Kind), `","time":"`)
	b = e.Time.AppendFormat(b, time.RFC3339Nano)
	text(`","campaign":"`, e.Campaign, `"`)
	text(`,"machine_id":"`, e.MachineID, `"`)
	text(`,"from":"`, stateNames[e.From], `"`)
	text(`,"to":"`, stateNames[e.To], `"`)
	if e.Attempt != 0 {
		b = strconv.AppendInt(append(b, `,"attempt":`...), int64(e.Attempt), 10)
	}
	if e.Token != 0 {
		b = append(strconv.AppendUint(append(b, `,"token":"`...), e.Token, 10), '"')
	}
	if e.ActionID != "" {
		text(`,"action_id":"`, e.ActionID, `"`)
	}
	if e.Origin != "" {
		text(`,"origin":"`, string(e.Origin), `"`)
	}
	return append(b, '}')
}

// shorten returns the short form of an event; nil when it has none.
func shorten(e *Event, object []byte) []byte {
	if !e.plain() {
		return nil
	}
	id, _ := parseID(e.MachineID)
	origin, _ := e.Origin.code()
	b := append(make([]byte, 0, 256), shortForm, byte(slices.Index(shortKinds[:], e.Kind)), byte(e.From), byte(e.To)) //nolint:gosec // few kinds
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixNano()))
	b = append(b, id[:]...)
	b = appendField(b, fieldCampaign, e.Campaign)
	if e.Attempt != 1 {
		b = appendNumber(b, fieldAttempt, uint64(e.Attempt)) //nolint:gosec // not negative
	}
	if origin != 0 {
		b = appendNumber(b, fieldOrigin, uint64(origin))
	}
	if guid, ok := packGUID(e.ActionID); ok {
		b = appendField(b, fieldActionGUID, guid)
	} else {
		b = appendOptional(b, fieldAction, e.ActionID)
	}
	if e.Token != 0 {
		b = appendField(b, fieldToken, binary.BigEndian.AppendUint64(nil, e.Token))
	}
	// Times of distant centuries and ids in capitals are among what does not unfold.
	if again, err := unfold(b); err != nil || !bytes.Equal(again.appendPlain(nil), object) {
		return nil
	}
	return b
}

// unfold reads a short form into memory of its own.
func unfold(b []byte) (Event, error) {
	if len(b) < shortHeader || int(b[1]) >= len(shortKinds) {
		return Event{}, errors.New("no short form of an event")
	}
	at, err := timeOf(b[4:12])
	e := Event{Kind: shortKinds[b[1]], Attempt: 1, From: State(b[2]), To: State(b[3]), Time: at, MachineID: rawID(b[12:shortHeader]).String()}
	for name, value := range fields(b[shortHeader:]) {
		err = errors.Join(err, e.take(name, value))
	}
	if err == nil && !e.plain() {
		err = errors.New("a short form of an event that has none")
	}
	return e, err
}

func (e *Event) take(name byte, value []byte) error {
	switch name {
	case fieldCampaign:
		e.Campaign = string(value)
	case fieldAttempt:
		e.Attempt = int(number(value) & 0x7fffffff)
	case fieldOrigin:
		e.Origin = originCodes[number(value)%uint64(len(originCodes))]
	case fieldAction:
		e.ActionID = string(value)
	case fieldActionGUID:
		if len(value) != 16 {
			return errors.New("no GUID")
		}
		e.ActionID = unpackGUID(value)
	case fieldToken:
		if len(value) != 8 {
			return errors.New("no token")
		}
		e.Token = binary.BigEndian.Uint64(value)
	default:
		return unknownField(name)
	}
	return nil
}

// packGUID returns the bytes of a GUID in the form that the service gives actions.
func packGUID(s string) ([]byte, bool) {
	digits := strings.ReplaceAll(s, "-", "")
	b, err := hex.DecodeString(digits)
	return b, err == nil && len(b) == 16 && unpackGUID(b) == s
}

func unpackGUID(b []byte) string {
	d := hex.EncodeToString(b)
	return d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:]
}
