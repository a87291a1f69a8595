package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

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

// addBucket makes seeds of what a bucket of the golden journal holds.
func addBucket(f *testing.F, name []byte) (seeds int) {
	f.Helper()
	db, err := bolt.Open(filepath.Join("..", "testdata", "journal", "schema-v1.journal"), 0o600, &bolt.Options{ReadOnly: true})
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
