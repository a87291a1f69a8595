package journal_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"offboard/journal"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testdata = "../testdata/journal"

// TestExportContract holds an export with something of everything against the
// golden file, which is a written contract.
func TestExportContract(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(eventful(t), contoso, journal.Options{})
	must(t, err)
	defer j.Close()
	compareExport(t, j, "export.jsonl")
}

// TestSchemas opens a journal of every schema that there ever was.
func TestSchemas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(testdata, "schema-v1.journal")
	if *update {
		copyFile(t, eventful(t), path)
	}
	files, err := filepath.Glob(filepath.Join(testdata, "schema-*.journal"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%d journals of older schemas", len(files))
	}
	for _, file := range files {
		copied := filepath.Join(t.TempDir(), filepath.Base(file))
		copyFile(t, file, copied)
		j := mustOpen(t, copied, journal.Options{})
		compareExport(t, j, "export.jsonl")
		c, err := j.Campaign("summer")
		must(t, err)
		begin(t, c, id(9))
	}
}

func compareExport(t *testing.T, j *journal.Journal, golden string) {
	t.Helper()
	var got bytes.Buffer
	must(t, j.Export(&got))
	path := filepath.Join(testdata, golden)
	if *update {
		must(t, os.WriteFile(path, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("export differs from %s:\n%s", path, got.String())
	}
}

// eventful returns the path of a journal in which everything happened once, at
// times that never change.
func eventful(t *testing.T) string {
	t.Helper()
	now := newClock()
	path := journalPath(t)
	j := mustOpen(t, path, journal.Options{Now: now.Now, Operator: "anna@host"})
	list := machines(10)
	list[8].Exclude, list[1].Comment = "not onboarded", "<its own> & more"
	spring := started(t, j, "spring", list)
	must(t, spring.Update(func(i *journal.Info) error { i.Rules = []byte(`{"max":10}`); i.TenantRead = now.Now(); return nil }))
	must(t, spring.Prior(map[string][]string{id(2): {"old-1", "old-2"}}))
	for n, steps := range [][]string{
		{"begin", "accept", "succeeded"}, {"begin", "reject"}, {"begin", "doubt", "accept"}, {"begin", "doubt", "verdict applied"},
		{"begin", "release", "begin", "doubt"}, {"adopt"}, {"begin"}, {"begin", "doubt", "verdict not applied"},
	} {
		for _, step := range steps {
			now.advance(time.Second)
			must(t, operate(spring, id(n), step))
		}
	}
	now.advance(time.Minute)
	list[8].Exclude = ""
	if _, err := spring.Enlist(enlistment(list[:9])); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Recover(); err != nil {
		t.Fatal(err)
	}
	now.advance(time.Minute)
	summer := started(t, j, "summer", list[4:])
	begin(t, summer, id(8))
	must(t, summer.Reject(id(8), journal.Failure{
		Reason: journal.ReasonRefused, HTTPStatus: 400, Code: "InvalidInput", Message: "Comment is missing", Target: "correlation-1",
	}))
	must(t, j.Close())
	return path
}

// TestCompact: the copy has the same content in less space, and works.
func TestCompact(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	j := mustOpen(t, path, journal.Options{Now: newClock().Now})
	c := started(t, j, "spring", machines(3000))
	renamed := machines(3000)
	for n := range renamed {
		renamed[n].Name += ".old"
	}
	if _, err := c.Enlist(enlistment(renamed)); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.journal")
	must(t, j.Compact(copied))
	if err := j.Compact(copied); !errors.Is(err, fs.ErrExist) {
		t.Errorf("compact onto a file: %v", err)
	}
	var before, after bytes.Buffer
	must(t, j.Export(&before))
	again := mustOpen(t, copied, journal.Options{})
	must(t, again.Export(&after))
	if !bytes.Equal(before.Bytes(), after.Bytes()) {
		t.Error("the copy differs")
	}
	if chainOf(t, again) != chainOf(t, j) {
		t.Error("the copy has another chain")
	}
	old, err := os.Stat(path)
	must(t, err)
	smaller, err := os.Stat(copied)
	must(t, err)
	if smaller.Size() >= old.Size() || smaller.Mode() != old.Mode() {
		t.Errorf("%d bytes became %d, mode %v", old.Size(), smaller.Size(), smaller.Mode())
	}
	same, err := again.Campaign("spring")
	must(t, err)
	begin(t, same, id(5))
}

// TestBytesOfAMachine: a settled machine takes 2.5 times what the service says of its
// action, events and all.
func TestBytesOfAMachine(t *testing.T) {
	t.Parallel()
	const n, workers = 2048, 64
	j := mustOpen(t, journalPath(t), journal.Options{})
	list := machines(n)
	for i := range list {
		list[i].Name = fmt.Sprintf("pc-%07d.corp.example.com", i)
		list[i].Carried = []string{fmt.Sprintf("owner-%04d@example.com", i%500), "site-12", fmt.Sprintf("CHG-%07d", i), "Windows11", "Onboarded", "2026-08-01T10:00:00Z"}
	}
	c := started(t, j, "machines-2048", list)
	action := func(i int, status string) journal.Action {
		guid := fmt.Sprintf("5382f7ea-7557-4ab7-9782-%012x", i)
		return journal.Action{ID: guid, Status: status, Raw: fmt.Appendf(nil, `{"id":%q,"status":%q,"others":%q}`, guid, status, strings.Repeat("x", 638))}
	}
	var group errgroup.Group
	for w := range workers {
		group.Go(func() error {
			for i := w; i < n; i += workers {
				_, err := c.Begin(id(i), rand.Uint64())
				err = errors.Join(err, c.Accept(id(i), action(i, "Pending"), journal.Ours), c.Settle(id(i), action(i, "Succeeded")))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, group.Wait())
	copied := filepath.Join(t.TempDir(), "copy.journal")
	must(t, j.Compact(copied))
	info, err := os.Stat(copied)
	must(t, err)
	each, said := float64(info.Size())/n, float64(len(action(0, "Succeeded").Raw))
	t.Logf("%.0f bytes a machine, %.0f of its action: %.3f times", each, said, each/said)
	if each > 2.5*said {
		t.Errorf("%.0f bytes a machine are more than 2.5 times the %.0f of its action", each, said)
	}
}

// TestShrinkWhileAnotherWaits: whoever waits for the lock of a journal that is
// being compacted must not go on with the file that was replaced.
func TestShrinkWhileAnotherWaits(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{})
	must(t, err)
	started(t, j, "spring", machines(3000))
	waited := make(chan error, 1)
	go func() {
		late, err := journal.Open(path, contoso, journal.Options{LockTimeout: 30 * time.Second})
		if err == nil {
			err = late.Close()
		}
		waited <- err
	}()
	must(t, os.WriteFile(path+".compact", []byte("left by one that was killed"), 0o600))
	must(t, j.Shrink())
	if err := <-waited; err != nil && !errors.Is(err, journal.ErrLocked) {
		t.Errorf("the one that waited: %v", err)
	}
	again := mustOpen(t, path, journal.Options{})
	c, err := again.Campaign("spring")
	must(t, err)
	begin(t, c, id(5))
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestExportToABrokenWriter(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(sample(t), contoso, journal.Options{ReadOnly: true})
	must(t, err)
	defer j.Close()
	broken := errors.New("pipe is gone")
	if err := j.Export(brokenWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("export: %v", err)
	}
}
