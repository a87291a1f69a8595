package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// FuzzDecode reads keys and values of every bucket, with a checksum made right
// so that the decoders get to see them. Whatever they accept can be written, and
// is read back as the same.
func FuzzDecode(f *testing.F) {
	for _, bucket := range [][]byte{machineBucket, eventBucket, campaignBucket} {
		if addBucket(f, bucket) == 0 {
			f.Fatalf("the journal that the seeds come from has an empty bucket %s", bucket)
		}
	}
	f.Fuzz(func(t *testing.T, key, body []byte) {
		for _, value := range [][]byte{body, seal(key, bytes.Clone(body))} {
			decodeAsRecord(t, key, value)
			decodeAsEvent(t, key, value)
			_, err := decodeCampaign(key, value)
			onlyDamaged(t, err)
		}
	})
}

// FuzzSalvage reads files of any bytes, and beside them a key and a value with a
// right checksum. It ends, and leaves no machine with two live records.
func FuzzSalvage(f *testing.F) {
	golden := smallJournal(f)
	key := rawID{1}.key(1)
	value, err := encodeRecord(key, &record{header: header{state: InDoubt, attempts: 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, key, value[:len(value)-crc32.Size])
	f.Add(golden[:len(golden)/2], eventKey(33), []byte(`{"event":"started"}0123456789abcdef0123456789abcdef`))
	f.Fuzz(func(t *testing.T, file, key, body []byte) {
		found := newFindings()
		found.take(key, seal(key, body))
		if _, err := found.search(t.Context(), bytes.NewReader(file), int64(len(file))); err != nil {
			t.Fatal(err)
		}
		all := found.conclude(time.Now())
		live := map[rawID]int{}
		for _, c := range all {
			if c.live() {
				live[c.key.id]++
			}
			if found.campaigns[c.key.campaign] == nil {
				t.Errorf("machine %s of no campaign", c.key.id)
			}
			c.event("campaign", found.nameOf(c.record.passed))
		}
		for id, n := range live {
			if n > 1 {
				t.Errorf("machine %s has %d live records", id, n)
			}
		}
		if found.summary(all).Machines != len(all) {
			t.Error("not all machines are counted")
		}
	})
}

// smallJournal returns the golden journal on small pages, without the space after
// the last: the fuzzer is at a loss with large files.
func smallJournal(f *testing.F) []byte {
	f.Helper()
	path := filepath.Join(f.TempDir(), "small.journal")
	from, err := bolt.Open(goldenJournal, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	to, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024})
	if err != nil {
		f.Fatal(err)
	}
	err = from.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return copyBucket(to, name, b) })
	})
	file, bad := os.ReadFile(path)
	if err := errors.Join(err, to.Close(), bad); err != nil {
		f.Fatal(err)
	}
	found := newFindings()
	if _, err := found.search(f.Context(), bytes.NewReader(file), int64(len(file))); err != nil || !found.complete || len(found.log) == 0 {
		f.Fatalf("the seed tells %d events, all: %v, %v", len(found.log), found.complete, err)
	}
	return bytes.TrimRight(file, "\x00")
}

var goldenJournal = filepath.Join("..", "testdata", "journal", "schema-v1.journal")

// addBucket makes seeds of what a bucket of the golden journal holds.
func addBucket(f *testing.F, name []byte) (seeds int) {
	f.Helper()
	db, err := bolt.Open(goldenJournal, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(name).ForEach(func(key, value []byte) error {
			body, err := unseal(key, value)
			if err == nil {
				f.Add(bytes.Clone(key), bytes.Clone(body))
				seeds++
			}
			return err
		})
	})
	if err != nil {
		f.Fatal(err)
	}
	return seeds
}

func onlyDamaged(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) {
		t.Errorf("%v is not ErrDamaged", err)
	}
}

func decodeAsRecord(t *testing.T, key, value []byte) {
	t.Helper()
	r, err := decodeRecord(key, value)
	onlyDamaged(t, err)
	if err != nil {
		return
	}
	once, err := encodeRecord(key, r)
	if err != nil {
		t.Fatalf("a record that was read cannot be written: %v", err)
	}
	again, err := decodeRecord(key, once)
	if err != nil {
		t.Fatalf("a record that was written cannot be read: %v", err)
	}
	if twice, err := encodeRecord(key, again); err != nil || !bytes.Equal(once, twice) {
		t.Errorf("%q became %q, %v", once, twice, err)
	}
}

func decodeAsEvent(t *testing.T, key, value []byte) {
	t.Helper()
	e, err := decodeEvent(key, value)
	onlyDamaged(t, err)
	if err != nil {
		return
	}
	line := exportedLine(nil, digest{}, &e)
	if !bytes.HasSuffix(line, []byte(e.hash.String()+`"}`)) {
		t.Errorf("the line %q does not end in its hash", line)
	}
	var before digest
	once, _, err := encodeEvent(before, e.Seq, &e.Event)
	if err != nil {
		return // such as a state of the stored event that is none
	}
	again, err := decodeEvent(binary.BigEndian.AppendUint64(nil, e.Seq), once)
	if err != nil || !again.follows(before) {
		t.Fatalf("an event that was written cannot be read: %v", err)
	}
	if twice, _, err := encodeEvent(before, e.Seq, &again.Event); err != nil || !bytes.Equal(once, twice) {
		t.Errorf("%q became %q, %v", once, twice, err)
	}
}
