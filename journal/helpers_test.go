package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"offboard/journal"
)

var contoso = journal.Tenant{ID: "11111111-2222-3333-4444-555555555555", Cloud: "public"}

// mustOpen opens a journal and checks it when the test ends. A journal that
// fails the check is kept, and its path printed.
func mustOpen(tb testing.TB, path string, o journal.Options) *journal.Journal {
	tb.Helper()
	j, err := journal.Open(path, contoso, o)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
		mustCheck(tb, path)
	})
	return j
}

// mustCheck checks the journal at path, which nobody may have open.
func mustCheck(tb testing.TB, path string) {
	tb.Helper()
	j, err := journal.Open(path, journal.Tenant{}, journal.Options{ReadOnly: true})
	if err != nil {
		tb.Errorf("open for the check: %v", err)
		return
	}
	defer j.Close()
	if report, err := j.Check(tb.Context()); err != nil && tb.Context().Err() == nil {
		keep := filepath.Join(os.TempDir(), filepath.Base(path)+".failed")
		copyFile(tb, path, keep)
		tb.Errorf("check: %v\n%q\nkept as %s", err, report.Problems, keep)
	}
}

func copyFile(tb interface {
	Helper()
	Fatal(args ...any)
}, from, to string) {
	tb.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func journalPath(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "contoso.journal")
}

// id returns the n-th machine id. Neighbours are not neighbours in the order of
// ids, as with real ones.
func id(n int) string {
	return fmt.Sprintf("%08x%032x", uint32(n)*2654435761, n)
}

func machines(n int) []journal.Machine {
	list := make([]journal.Machine, n)
	for i := range list {
		list[i] = journal.Machine{ID: id(i), Name: fmt.Sprintf("pc-%d.contoso.com", i), Carried: []string{"anna", "Graz"}}
	}
	return list
}

func enlistment(list []journal.Machine) journal.Enlistment {
	return journal.Enlistment{
		List:    journal.ListInfo{Path: "pcs.csv", SHA256: "c0ffee", Machines: len(list)},
		Columns: []string{"owner", "site"}, Machines: slices.Values(list),
	}
}

// started returns a campaign that has taken a list.
func started(tb testing.TB, j *journal.Journal, name string, list []journal.Machine) *journal.Campaign {
	tb.Helper()
	c, err := j.StartCampaign(journal.Info{Name: name, Comment: "retired"})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := c.Enlist(enlistment(list)); err != nil {
		tb.Fatal(err)
	}
	return c
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// begin begins an attempt that must be possible.
func begin(tb testing.TB, c *journal.Campaign, machine string) journal.Attempt {
	tb.Helper()
	a, err := c.Begin(machine, 7)
	must(tb, err)
	return a
}

func entry(tb testing.TB, c *journal.Campaign, machine string) journal.Entry {
	tb.Helper()
	e, err := c.Entry(machine)
	must(tb, err)
	return e
}

// pending is an action as the service returns it.
func pending(actionID string) journal.Action {
	return journal.Action{ID: actionID, Status: "Pending", Raw: []byte(`{"id": "` + actionID + `", "status": "Pending"}`)}
}

func withStatus(a journal.Action, status string) journal.Action {
	a.Status = status
	return a
}

// clock is a clock for tests that need to know the time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
