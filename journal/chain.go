package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// digest is the hash of an event. It covers the hash of the event before, and
// so the whole log up to there; before the first there are zeros.
type digest [sha256.Size]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// Chain names a state of the event log: how many events it has, and the hash of
// the last. A copy kept elsewhere finds out later whether the log was changed or
// shortened since, see [Journal.Check].
type Chain struct {
	Length uint64 `json:"length"`
	Head   string `json:"head"` // SHA-256 in hexadecimal; zeros while there is no event
}

// String returns the form that [ParseChain] reads, such as "12:9f86d081…".
func (c Chain) String() string { return fmt.Sprintf("%d:%s", c.Length, c.Head) }

// ParseChain reads a chain's length and head as [Chain.String] writes them.
func ParseChain(s string) (Chain, error) {
	length, head, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(length, 10, 64)
	raw, bad := hex.DecodeString(head)
	if err = errors.Join(err, bad); err != nil || len(raw) != len(digest{}) {
		return Chain{}, fmt.Errorf("journal: %q is not LENGTH:HEAD with the %d digits of a SHA-256", s, 2*len(digest{}))
	}
	return Chain{Length: n, Head: hex.EncodeToString(raw)}, nil
}

// Chain returns the present length and head of the event log.
func (j *Journal) Chain() (Chain, error) {
	var c Chain
	err := j.view("read the chain", func(tx *bolt.Tx) error {
		length, head, err := chainEnd(tx.Bucket(eventBucket))
		c = Chain{Length: length, Head: head.String()}
		return err
	})
	return c, err
}

// chainEnd reads the end of the log. One that is not where the bucket says is
// damage, onto which nothing may be chained.
func chainEnd(events *bolt.Bucket) (uint64, digest, error) {
	key, value := events.Cursor().Last()
	if key == nil && events.Sequence() == 0 {
		return 0, digest{}, nil
	}
	e, err := decodeEvent(key, value)
	if err == nil && e.Seq != events.Sequence() {
		err = fmt.Errorf("%w: the log ends at event %d of %d", ErrDamaged, e.Seq, events.Sequence())
	}
	return e.Seq, e.hash, err
}

// hashedLine appends the part of an event's exported line that its hash covers:
// all but the hash itself at the end. Body is the event as a JSON object.
func hashedLine(line []byte, before digest, seq uint64, body []byte) []byte {
	line = append(line, `{"kind":"event","prev":"`...)
	line = hex.AppendEncode(line, before[:])
	line = append(line, `","seq":`...)
	line = strconv.AppendUint(line, seq, 10)
	line = append(line, ',')
	return append(line, body[1:len(body)-1]...)
}

// exportedLine appends an event's line in an export. It is made of the stored
// bytes, so that whoever has only the export hashes what the journal hashed.
func exportedLine(line []byte, before digest, e *storedEvent) []byte {
	line = hashedLine(line, before, e.Seq, e.object())
	line = append(line, `,"hash":"`...)
	line = hex.AppendEncode(line, e.hash[:])
	return append(line, '"', '}')
}

// follows says whether the event is what was chained to the one before it.
func (e *storedEvent) follows(before digest) bool {
	return e.hash == sha256.Sum256(hashedLine(nil, before, e.Seq, e.object()))
}
