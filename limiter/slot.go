package limiter

import (
	"encoding/binary"
	"hash/crc32"
)

// kind is what a slot of the ledger holds.
type kind uint8

const (
	free     kind = iota // nothing; an all-zero slot
	inFlight             // a call whose token is out; stamp: when it was taken
	answered             // stamp: when its answer was complete
	givenUp              // stamp: when nobody waited for its answer any more
	paused               // nobody sends before stamp; id: 0
	evenly               // the quota whose window is id nanoseconds is paced evenly before stamp
	kinds                // the number of kinds
)

// slot is one record of the ledger.
type slot struct {
	id      uint64 // of the call
	session uint64 // of the process that took the token, see session.go
	stamp   int64  // Unix nanoseconds on the ledger's time line
	kind    kind
}

// isCall says whether the slot is the account of a call, not a mark.
func (s slot) isCall() bool { return s.kind == inFlight || s.kind == answered || s.kind == givenUp }

// Slots follow the header without a gap. Both sizes divide the page and sector
// size, so that neither is ever torn across two of them.
const (
	slotSize   = 32
	headerSize = 64
	maxSlots   = 4 * maxCalls // more than any valid configuration needs
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	order      = binary.LittleEndian
)

// appendSlot adds the slot's encoding to b.
func appendSlot(b []byte, s slot) []byte {
	if s == (slot{}) {
		return append(b, make([]byte, slotSize)...)
	}
	start := len(b)
	b = order.AppendUint64(b, s.id)
	b = order.AppendUint64(b, s.session)
	b = order.AppendUint64(b, bits(s.stamp))
	b = order.AppendUint32(b, uint32(s.kind))
	return order.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeSlot reads what appendSlot wrote; ok is false for anything else.
func decodeSlot(b []byte) (s slot, ok bool) {
	if len(b) != slotSize {
		return slot{}, false
	}
	if [slotSize]byte(b) == ([slotSize]byte{}) {
		return slot{}, true
	}
	k := order.Uint32(b[24:])
	if crc32.Checksum(b[:28], castagnoli) != order.Uint32(b[28:]) || k == 0 || k >= uint32(kinds) {
		return slot{}, false
	}
	return slot{
		id:      order.Uint64(b),
		session: order.Uint64(b[8:]),
		stamp:   unbits(order.Uint64(b[16:])),
		kind:    kind(k),
	}, true
}

// header begins the ledger file.
type header struct {
	version uint32
	seq     uint64 // changes with every write: who finds it unchanged need not read on
	newest  int64  // newest moment on the ledger's time line that any process has seen
	keep    int64  // longest time, of all the processes so far, that a call is counted
}

const (
	magic   = "OFFBLDGR"
	version = 1
)

// appendHeader adds the header's encoding to b.
func appendHeader(b []byte, h header) []byte {
	start := len(b)
	b = append(b, magic...)
	b = order.AppendUint32(b, h.version)
	b = order.AppendUint32(b, slotSize)
	b = order.AppendUint64(b, h.seq)
	b = order.AppendUint64(b, bits(h.newest))
	b = order.AppendUint64(b, bits(h.keep))
	b = append(b, make([]byte, headerSize-4-(len(b)-start))...)
	return order.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeHeader reads what appendHeader wrote; ok is false for anything else.
func decodeHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic {
		return header{}, false
	}
	if crc32.Checksum(b[:headerSize-4], castagnoli) != order.Uint32(b[headerSize-4:]) {
		return header{}, false
	}
	h = header{
		version: order.Uint32(b[8:]),
		seq:     order.Uint64(b[16:]),
		newest:  unbits(order.Uint64(b[24:])),
		keep:    unbits(order.Uint64(b[32:])),
	}
	return h, h.version > version || h.valid() && order.Uint32(b[12:]) == slotSize
}

// valid says whether the header's numbers can be what a process wrote.
func (h header) valid() bool {
	return h.version == version && h.newest >= 0 && h.newest < maxStamp && h.keep >= 0 && h.keep <= 3*int64(maxSpan)
}

// maxStamp is the year 2200: sums of any valid stamp and any valid duration do
// not overflow.
const maxStamp = 7_258_118_400_000_000_000

// decodeSlots reads all slots that follow a header. A slot that cannot be read
// is reported as bad and left free.
func decodeSlots(b []byte) (slots []slot, bad []int) {
	slots = make([]slot, 0, len(b)/slotSize+1)
	for len(b) > 0 {
		n := min(slotSize, len(b))
		s, ok := decodeSlot(b[:n])
		if !ok || s.stamp < 0 || s.stamp >= maxStamp {
			bad = append(bad, len(slots))
			s = slot{}
		}
		slots = append(slots, s)
		b = b[n:]
	}
	return slots, bad
}

func bits(v int64) uint64   { return uint64(v) } //nolint:gosec // two's complement, undone by unbits
func unbits(v uint64) int64 { return int64(v) }  //nolint:gosec // undoes bits
