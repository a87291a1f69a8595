package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"offboard/journal"
)

// TestCheckFindsTampering changes single things behind the journal's back, each
// with a valid checksum where one belongs, and lets the check find them.
func TestCheckFindsTampering(t *testing.T) {
	t.Parallel()
	remove := func(bucket string, last bool) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			c := tx.Bucket([]byte(bucket)).Cursor()
			if c.First(); last {
				c.Last()
			}
			return c.Delete()
		}
	}
	tests := map[string]func(tx *bolt.Tx) error{
		"last event lost":                remove("events", true),
		"first event lost":               remove("events", false),
		"record lost":                    remove("machines", false),
		"campaign lost":                  remove("campaigns", false),
		"value under other key":          func(tx *bolt.Tx) error { return swapRecords(tx.Bucket([]byte("machines"))) },
		"sequence set back":              func(tx *bolt.Tx) error { return tx.Bucket([]byte("events")).SetSequence(1) },
		"other state, checksum right":    reseal("machines", func(b []byte) { b[1] = byte(journal.Succeeded) }),
		"other attempts, checksum right": reseal("machines", func(b []byte) { b[6]++ }),
		"impossible state":               reseal("machines", func(b []byte) { b[1] = 77 }),
		"other format":                   reseal("machines", func(b []byte) { b[0]++ }),
		"huge action":                    reseal("machines", func(b []byte) { b[23] = 0xff }),
		"details that are none":          reseal("machines", func(b []byte) { b[27+binary.BigEndian.Uint32(b[23:])] = 0xff }),
		"details that are cut short":     reseal("machines", func(b []byte) { b[28+binary.BigEndian.Uint32(b[23:])] = 0x7f }),
		"another event":                  resealEvent(6, func(b []byte) { b[3] = byte(journal.Planned) }),
		"an event of another machine":    resealEvent(6, func(b []byte) { b[20]++ }),
		"an event cut short":             resealEvent(6, func(b []byte) { b[33] = 0x7f }),
		"event of no form":               resealEvent(6, func(b []byte) { b[0] = '!' }),
		"campaign that is no JSON":       reseal("campaigns", func(b []byte) { b[0] = '!' }),
		"foreign key":                    func(tx *bolt.Tx) error { return tx.Bucket([]byte("machines")).Put([]byte("x"), []byte("y")) },
		"emptied record":                 func(tx *bolt.Tx) error { return emptyFirst(tx.Bucket([]byte("machines"))) },
	}
	for name, tamper := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := sample(t)
			db, err := bolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, db.Update(tamper))
			must(t, db.Close())
			j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
			if err != nil && errors.Is(err, journal.ErrDamaged) {
				return // found even before
			}
			must(t, err)
			defer j.Close()
			before, err := os.ReadFile(path)
			must(t, err)
			report, err := j.Check(t.Context())
			if !errors.Is(err, journal.ErrDamaged) || report.Total == 0 || len(report.Problems) == 0 {
				t.Errorf("check: %v, %+v", err, report)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the check changed the file")
			}
		})
	}
}

// reseal changes the last value of a bucket and makes its checksum right again.
func reseal(bucket string, change func(body []byte)) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		key, _ := b.Cursor().Last()
		return resealKey(b, bytes.Clone(key), change)
	}
}

func resealEvent(seq uint64, change func(body []byte)) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error { return resealKey(tx.Bucket([]byte("events")), eventKey(seq), change) }
}

func eventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func resealKey(b *bolt.Bucket, key []byte, change func(body []byte)) error {
	value := b.Get(key)
	body := bytes.Clone(value[:len(value)-4])
	change(body)
	sum := crc32.Checksum(slices.Concat(key, body), crc32.MakeTable(crc32.Castagnoli))
	return b.Put(key, binary.BigEndian.AppendUint32(body, sum))
}

func swapRecords(b *bolt.Bucket) error {
	c := b.Cursor()
	k1, v1 := c.First()
	k2, v2 := c.Next()
	k1, v1, k2, v2 = bytes.Clone(k1), bytes.Clone(v1), bytes.Clone(k2), bytes.Clone(v2)
	return errors.Join(b.Put(k1, v2), b.Put(k2, v1))
}

func emptyFirst(b *bolt.Bucket) error {
	k, _ := b.Cursor().First()
	return b.Put(bytes.Clone(k), nil)
}

// sample returns the path of a closed journal with something of everything.
func sample(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "sample.journal")
	j, err := journal.Open(path, contoso, journal.Options{Now: newClock().Now})
	must(tb, err)
	c := started(tb, j, "spring", machines(200))
	started(tb, j, "summer", machines(10))
	for n := range 100 {
		begin(tb, c, id(n))
		if n%3 > 0 {
			must(tb, c.Accept(id(n), pending(fmt.Sprint("a", n)), journal.Ours))
		}
	}
	must(tb, j.Close())
	return path
}

func TestCheckReport(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(sample(t), contoso, journal.Options{ReadOnly: true})
	must(t, err)
	defer j.Close()
	report, err := j.Check(t.Context())
	if err != nil || report.Records != 210 || report.Campaigns != 2 || report.Events != 2+2+100+66 {
		t.Errorf("check: %v, %+v", err, report)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Check(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("check with an ended context: %v", err)
	}
}

// TestDamage flips bits, zeroes sectors and cuts the end off, in a child process
// with a time limit, since a damaged file may make the engine fault or loop. The
// journal may then refuse or be whole; it must never tell another state.
func TestDamage(t *testing.T) {
	t.Parallel()
	images := 200
	if testing.Short() {
		images = 100
	}
	path := sample(t)
	dir := t.TempDir()
	makeImages(t, path, dir, images)
	seen := map[string]int{}
	for len(seen) == 0 || count(seen) < images {
		n := runReader(t, "reader", dir, count(seen), seen)
		if n == 0 {
			// The child died or hung over the next image, which is not silent.
			seen["died"]++
		}
	}
	t.Logf("%d images: %v", images, seen)
	if seen["wrong"] > 0 || seen["died"] > images/100 || seen["damaged"] < images/10 {
		t.Errorf("results %v", seen)
	}
}

func count(seen map[string]int) int {
	n := 0
	for _, k := range seen {
		n += k
	}
	return n
}

func makeImages(t *testing.T, path, dir string, images int) {
	t.Helper()
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "whole"), whole, 0o600))
	random := rand.New(rand.NewPCG(5, 6))
	for n := range images {
		image := bytes.Clone(whole)
		at := random.IntN(len(image))
		switch n % 4 {
		case 0:
			clear(image[at&^511:][:512])
		case 1:
			image = image[:at]
		default:
			image[at] ^= 1 << random.IntN(8)
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), image, 0o600))
	}
}

// runReader has a child of this role read the images from the first on, and adds
// up what it says of each.
func runReader(t *testing.T, role, dir string, first int, seen map[string]int) int {
	t.Helper()
	cmd := child(t, role, fmt.Sprintf("%s %d", dir, first))
	cmd.Stderr = nil
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	limit := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	n := 0
	for scanner := bufio.NewScanner(out); scanner.Scan(); n++ {
		limit.Reset(10 * time.Second)
		word, detail, _ := strings.Cut(scanner.Text(), " ")
		if seen[word]++; word == "wrong" {
			t.Error(detail)
		} else if detail != "" {
			t.Log(word, detail)
		}
	}
	_ = cmd.Wait()
	return n
}

// readDamaged is the child: it compares every image with the whole journal.
func readDamaged(argument string) {
	var dir string
	var first int
	_, _ = fmt.Sscan(argument, &dir, &first)
	want, err := export(filepath.Join(dir, "whole"))
	if err != nil {
		fmt.Fprintln(os.Stdout, "wrong", err)
		return
	}
	for n := first; ; n++ {
		path := filepath.Join(dir, fmt.Sprint(n))
		if _, err := os.Stat(path); err != nil {
			return
		}
		fmt.Fprintln(os.Stdout, verdictOn(path, want))
	}
}

func verdictOn(path, want string) string {
	got, err := export(path)
	switch {
	case errors.Is(err, journal.ErrDamaged), errors.Is(err, journal.ErrNotAJournal), errors.Is(err, journal.ErrVersion):
		return "damaged"
	case errors.Is(err, fs.ErrNotExist), err != nil:
		return "wrong " + path + ": " + err.Error()
	case got != want:
		return "wrong " + path + ": another content and no error"
	}
	return "whole"
}

// export returns a journal's content once it has passed the check.
func export(path string) (string, error) {
	j, err := journal.Open(path, journal.Tenant{}, journal.Options{ReadOnly: true})
	if err != nil {
		return "", err
	}
	defer j.Close()
	if _, err := j.Check(context.Background()); err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = j.Export(&b)
	return b.String(), err
}
