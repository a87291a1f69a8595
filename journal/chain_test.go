package journal_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"offboard/journal"
)

// verifyExport follows docs/journal-export.md and uses nothing of the journal.
// It returns the number of events and the last hash.
func verifyExport(export []byte) (string, error) {
	prev, n := strings.Repeat("0", 64), 0
	for lines := bufio.NewScanner(bytes.NewReader(export)); lines.Scan(); {
		line := lines.Bytes()
		var e struct {
			Kind, Prev string
			Seq        int
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return "", err
		}
		if e.Kind != "event" {
			continue
		}
		n++
		sum := sha256.Sum256(line[:len(line)-75])
		digest := hex.EncodeToString(sum[:])
		if e.Seq != n || e.Prev != prev || string(line[len(line)-75:]) != `,"hash":"`+digest+`"}` {
			return "", fmt.Errorf("event %d is not what was written", n)
		}
		prev = digest
	}
	return fmt.Sprintf("%d:%s", n, prev), nil
}

// TestExportVerifies holds the documented rule, and shows that it finds what an
// export can suffer.
func TestExportVerifies(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(eventful(t), contoso, journal.Options{ReadOnly: true})
	must(t, err)
	defer j.Close()
	var export bytes.Buffer
	must(t, j.Export(&export))
	chain, err := j.Chain()
	must(t, err)
	if got, err := verifyExport(export.Bytes()); err != nil || got != chain.String() {
		t.Fatalf("the export verifies as %s, %v; the chain is %s", got, err, chain)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(export.Bytes(), []byte("\n")), []byte("\n"))
	lines[len(lines)-1] = append(lines[len(lines)-1], '\n')
	lines = lines[len(lines)-int(chain.Length):]
	at := len(lines) / 2
	for name, spoil := range map[string]func([][]byte) [][]byte{
		"changed": func(l [][]byte) [][]byte {
			l[at] = bytes.Replace(l[at], []byte(`spring`), []byte(`Spring`), 1)
			return l
		},
		"removed":  func(l [][]byte) [][]byte { return slices.Delete(l, at, at+1) },
		"beheaded": func(l [][]byte) [][]byte { return l[1:] },
		"swapped":  func(l [][]byte) [][]byte { l[at], l[at+1] = l[at+1], l[at]; return l },
		"repeated": func(l [][]byte) [][]byte { return slices.Insert(l, at, l[at]) },
		"inserted": func(l [][]byte) [][]byte { return slices.Insert(l, at, forged(l[at])) },
		"replaced": func(l [][]byte) [][]byte { l[at] = forged(l[at]); return l },
	} {
		if got, err := verifyExport(bytes.Join(spoil(slices.Clone(lines)), nil)); err == nil {
			t.Errorf("an export with a line %s verifies as %s", name, got)
		}
	}
	// A shorter log is sound in itself; its head is another.
	if got, err := verifyExport(bytes.Join(lines[:at], nil)); err != nil || got == chain.String() {
		t.Errorf("a shortened export verifies as %s, %v", got, err)
	}
}

// forged returns another event in the place of one, with a hash that is right.
func forged(line []byte) []byte {
	body := bytes.Replace(bytes.TrimSuffix(line, []byte("\n"))[:len(line)-76], []byte(`"campaign":"`), []byte(`"campaign":"x`), 1)
	sum := sha256.Sum256(body)
	return fmt.Appendf(body, `,"hash":"%x"}`+"\n", sum)
}

// TestCheckAgainstNotedHeads: a log that is sound in itself and not the one whose
// heads were noted is found out; one that only grew is not.
func TestCheckAgainstNotedHeads(t *testing.T) {
	t.Parallel()
	now := newClock()
	dir := t.TempDir()
	path := filepath.Join(dir, "contoso.journal")
	j := mustOpen(t, path, journal.Options{Now: now.Now})
	noted := []journal.Chain{chainOf(t, j)}
	c := started(t, j, "spring", machines(5))
	for n := range 3 {
		begin(t, c, id(n))
		noted = append(noted, chainOf(t, j))
	}
	older := filepath.Join(dir, "older")
	copyFile(t, path, older)
	begin(t, c, id(3))
	if _, err := j.Check(t.Context(), noted...); err != nil {
		t.Errorf("a log that only grew: %v", err)
	}
	last := chainOf(t, j)
	must(t, j.Close())
	shortened := mustOpen(t, older, journal.Options{Now: now.Now})
	report, err := shortened.Check(t.Context(), last)
	if !errors.Is(err, journal.ErrDamaged) || report.BadEvent != last.Length {
		t.Errorf("a shortened log: %v, first bad event %d", err, report.BadEvent)
	}
	c, err = shortened.Campaign("spring")
	must(t, err)
	begin(t, c, id(4))
	if _, err := shortened.Check(t.Context(), last); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("a log written anew: %v", err)
	}
	if _, err := shortened.Check(t.Context(), noted...); err != nil {
		t.Errorf("what they have in common: %v", err)
	}
}

func chainOf(t *testing.T, j *journal.Journal) journal.Chain {
	t.Helper()
	chain, err := j.Chain()
	must(t, err)
	again, err := journal.ParseChain(strings.ToUpper(chain.String()))
	if err != nil || again != chain {
		t.Errorf("%s is read as %s, %v", chain, again, err)
	}
	return chain
}

func TestParseChain(t *testing.T) {
	t.Parallel()
	head := strings.Repeat("ab", 32)
	for _, bad := range []string{"", "1", ":", "1:", ":" + head, "-1:" + head, "1:" + head[1:], "1:" + head + "00", "1:" + strings.Repeat("xy", 32), head} {
		if c, err := journal.ParseChain(bad); err == nil {
			t.Errorf("%q is read as %s", bad, c)
		}
	}
}

// TestFirstBadEvent: the check says where the log stops being what was written.
func TestFirstBadEvent(t *testing.T) {
	t.Parallel()
	// The sample's event 6 is an intent.
	for name, c := range map[string]struct {
		tamper func(tx *bolt.Tx) error
		want   uint64
	}{
		"another event": {resealEvent(6, func(b []byte) { b[3] = byte(journal.Planned) }), 6},
		"another token": {resealEvent(6, func(b []byte) { b[len(b)-sha256.Size-1]++ }), 6},
		"another hash":  {resealEvent(6, func(b []byte) { b[len(b)-1]++ }), 6},
		"no form":       {resealEvent(6, func(b []byte) { b[0] = '!' }), 6},
		"a checksum": {func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("events")).Put(eventKey(6), []byte("longer than a checksum"))
		}, 6},
		"missing":            {func(tx *bolt.Tx) error { return tx.Bucket([]byte("events")).Delete(eventKey(6)) }, 6},
		"the end, shortened": {func(tx *bolt.Tx) error { return tx.Bucket([]byte("events")).Delete(eventKey(170)) }, 170},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := sample(t)
			tampered(t, path, c.tamper)
			j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
			must(t, err)
			defer j.Close()
			report, err := j.Check(t.Context())
			if !errors.Is(err, journal.ErrDamaged) || report.BadEvent != c.want || !strings.Contains(report.Problems[0], "event") {
				t.Errorf("first bad event %d, want %d: %v %q", report.BadEvent, c.want, err, report.Problems[:1])
			}
		})
	}
}

// TestNothingIsChainedToDamage: a log whose end is missing takes no event.
func TestNothingIsChainedToDamage(t *testing.T) {
	t.Parallel()
	path := sample(t)
	tampered(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("events")).Delete(eventKey(170)) })
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	defer j.Close()
	c, err := j.Campaign("spring")
	must(t, err)
	if _, err := c.Begin(id(150), 1); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("an intent was chained to a log without its end: %v", err)
	}
}

func tampered(t *testing.T, path string, tamper func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(tamper))
	must(t, db.Close())
}

// TestDocumentedRule: the document's script is the one that the test follows.
func TestDocumentedRule(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "journal-export.md"))
	must(t, err)
	for _, word := range []string{`,"hash":"`, "75 bytes", "line[:-75]", "64 zeros", `"0" * 64`} {
		if !strings.Contains(string(text), word) {
			t.Errorf("the document lacks %q", word)
		}
	}
}
