package journal

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	idSize  = 20 // bytes of a machine id
	keySize = idSize + 4
)

// rawID is a machine id as keys hold it.
type rawID [idSize]byte

func parseID(s string) (rawID, error) {
	var id rawID
	if len(s) != hex.EncodedLen(idSize) {
		return id, ErrMachineID
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, ErrMachineID
	}
	return id, nil
}

func (id rawID) String() string {
	var digits [2 * idSize]byte
	hex.Encode(digits[:], id[:])
	return string(digits[:])
}

// key returns the key of the machine's record in a campaign. The machine comes
// first, so that all that is known of it lies side by side.
func (id rawID) key(campaign uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, keySize), id[:]...), campaign)
}

func splitKey(key []byte) (id rawID, campaign uint32, err error) {
	if len(key) != keySize {
		return id, 0, fmt.Errorf("%w: machine key of %d bytes", ErrDamaged, len(key))
	}
	copy(id[:], key)
	return id, binary.BigEndian.Uint32(key[idSize:]), nil
}

const (
	recordFormat = 1
	headerSize   = 27
	// renewedFormat is that of records with an authorisation, which takes eight
	// bytes more.
	renewedFormat = 2
	renewedSize   = headerSize + 8
	// detailsRoom is what the details of most machines take.
	detailsRoom = 256
)

// header is the part of a record that scans read.
type header struct {
	state    State
	origin   Origin
	attempts uint32
	notFound uint32
	row      uint32
	updated  time.Time
	// authorised counts how often a person had the machine sent again.
	authorised uint32
	// passed is the campaign that may send the machine although it has succeeded
	// here; 0: none. Where it is set, the machine has once succeeded here.
	passed uint32
}

// holding says that the record keeps campaigns from sending the machine: the
// service may hold an action for it or has carried one out.
func (h header) holding() bool { return h.state.Live() || h.passed != 0 }

// holds says whether it keeps this one from it.
func (h header) holds(campaign uint32) bool {
	if h.state == Succeeded || !h.state.Live() {
		return h.holding() && h.passed != campaign
	}
	return true
}

// live says that the record, which is the campaign's, is live and not superseded.
// Of a machine at most one is.
func (h header) live(campaign uint32) bool {
	return h.state.Live() && (h.state != Succeeded || h.passed == 0 || h.passed == campaign)
}

// standing is the state that a holding record has for other campaigns: what holds
// the machine may be an earlier success.
func (h header) standing() State {
	if h.state.Live() {
		return h.state
	}
	return Succeeded
}

// record is what the journal holds of a machine in a campaign.
type record struct {
	header
	action []byte // JSON, as received
	details
}

// A record's value: format, state and origin in a byte each; attempts, looks
// and row in four; the time of the last change in eight; in the second format
// authorisations and passed in four each; the length of the action in four, the
// action, the details, and the checksum.
func encodeRecord(key []byte, r *record) ([]byte, error) {
	origin, ok := r.origin.code()
	if !ok {
		return nil, fmt.Errorf("journal: unknown origin %q", r.origin)
	}
	if len(r.action) > math.MaxInt32 {
		return nil, fmt.Errorf("journal: action of %d bytes", len(r.action))
	}
	format := byte(recordFormat)
	if r.authorised != 0 || r.passed != 0 {
		format = renewedFormat
	}
	v := make([]byte, 0, renewedSize+len(r.action)+detailsRoom+4)
	v = append(v, format, byte(r.state), origin)
	v = binary.BigEndian.AppendUint32(v, r.attempts)
	v = binary.BigEndian.AppendUint32(v, r.notFound)
	v = binary.BigEndian.AppendUint32(v, r.row)
	v = binary.BigEndian.AppendUint64(v, uint64(r.updated.UnixNano()))
	if format == renewedFormat {
		v = binary.BigEndian.AppendUint32(v, r.authorised)
		v = binary.BigEndian.AppendUint32(v, r.passed)
	}
	v = binary.BigEndian.AppendUint32(v, uint32(len(r.action))) //nolint:gosec // checked above
	v, err := appendDetails(append(v, r.action...), &r.details, r.action)
	return seal(key, v), err
}

// decodeHeader checks the whole value and returns its header and the rest.
func decodeHeader(key, value []byte) (header, []byte, error) {
	body, err := unseal(key, value)
	if err != nil {
		return header{}, nil, err
	}
	size := headerSize
	if len(body) > 0 && body[0] == renewedFormat {
		size = renewedSize
	} else if len(body) > 0 && body[0] != recordFormat {
		size = len(body) + 1
	}
	if len(body) < size || !State(body[1]).valid() || int(body[2]) >= len(originCodes) {
		return header{}, nil, fmt.Errorf("%w: impossible record under key %x", ErrDamaged, key)
	}
	h := header{
		state:    State(body[1]),
		origin:   originCodes[body[2]],
		attempts: binary.BigEndian.Uint32(body[3:]),
		notFound: binary.BigEndian.Uint32(body[7:]),
		row:      binary.BigEndian.Uint32(body[11:]),
		updated:  time.Unix(0, int64(binary.BigEndian.Uint64(body[15:]))).UTC(), //nolint:gosec // written from an int64
	}
	if size == renewedSize {
		h.authorised, h.passed = binary.BigEndian.Uint32(body[23:]), binary.BigEndian.Uint32(body[27:])
	}
	return h, body[size-4:], nil
}

// decodeRecord reads a value into memory of its own.
func decodeRecord(key, value []byte) (*record, error) {
	h, rest, err := decodeHeader(key, value)
	if err != nil {
		return nil, err
	}
	n, rest := uint64(binary.BigEndian.Uint32(rest)), rest[4:]
	if n > uint64(len(rest)) {
		return nil, fmt.Errorf("%w: impossible action under key %x", ErrDamaged, key)
	}
	r := &record{header: h}
	if n > 0 {
		r.action = slices.Clone(rest[:n])
	}
	if r.details, err = readDetails(rest[n:], r.action); err != nil {
		return nil, fmt.Errorf("%w: details under key %x: %w", ErrDamaged, key, err)
	}
	return r, nil
}

// leave notes why the newest list leaves out a machine that may be sent already,
// or, with no reason, that it does not. It reports whether that is new.
func (r *record) leave(reason string) bool {
	if r.state != Sending && r.state != InDoubt || r.Leaving == reason {
		return false
	}
	r.Leaving = reason
	return true
}

// jsonOf returns an action as received when it is JSON, else as a JSON string,
// so that an accepted machine can be recorded whatever the service said.
func jsonOf(raw []byte) []byte {
	if len(raw) == 0 || json.Valid(raw) {
		return raw
	}
	quoted, err := json.Marshal(strings.ToValidUTF8(string(raw), "\uFFFD"))
	if err != nil {
		return nil
	}
	return quoted
}
