package limiter

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// solo makes a limiter that goes on without its ledger, and collects what it was
// told of it.
func solo(t *testing.T, quota Quota, g *Ledger) (*Limiter, *[]error) {
	t.Helper()
	var told []error
	return mustNew(t, Config{Quotas: []Quota{quota}, Ledger: g, Alone: func(err error) { told = append(told, err) }}), &told
}

// TestAloneAfterAFullDisk: what was known counts on, of this process and of the
// others.
func TestAloneAfterAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		g := mustOpen(t, path)
		a, told := solo(t, Quota{4, time.Minute}, g)
		b := mustNew(t, Config{Quotas: []Quota{{4, time.Minute}}, Ledger: mustOpen(t, path)})
		mustTake(t, b).Answered()
		mustTake(t, b) // and never heard of again
		ours := mustTake(t, a)
		must(t, g.file.Close())
		g.file = must2(os.Open(path))(t) // every write to it fails
		mustTake(t, a).Answered()
		var e *Error
		if len(*told) != 1 || !errors.As((*told)[0], &e) || e.Path != path {
			t.Fatalf("told %v", *told)
		}
		if s := a.Status(); s.Quotas[0].Used != 4 || s.InFlight != 1 {
			t.Errorf("counts %+v", s)
		}
		ours.Answered()
		for i, want := range []time.Duration{61 * time.Second, 0, 0, 60 * time.Second} {
			tk, d := waited(t, a)
			if d != want {
				t.Errorf("token %d took %s, want %s", i, d, want)
			}
			tk.Answered()
		}
		for range 3 { // the third has to wait, and looks who is gone
			mustTake(t, b).Answered()
		}
		if s := b.Status(); s.InFlight != 1 {
			t.Errorf("the other process waits for a call that nobody tells it of: %+v", s)
		}
		if len(*told) != 1 {
			t.Errorf("told %d times", len(*told))
		}
	})
}

// TestAloneWhileAnotherHangs: somebody keeps the ledger's lock. Who may go on
// alone does so after a minute, and its reports are not lost; who may not fails.
func TestAloneWhileAnotherHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		a, told := solo(t, Quota{2, time.Minute}, mustOpen(t, path))
		other := mustNew(t, Config{Ledger: mustOpen(t, path)})
		first := mustTake(t, a)
		hangs := mustOpen(t, path)
		must2(hangs.lock.TryLock())(t)
		first.Answered() // put off
		answered := time.Now()
		tk, d := waited(t, a)
		tk.Answered()
		if d < takePatience || d > takePatience+time.Second || len(*told) != 1 || !errors.Is((*told)[0], ErrBusy) {
			t.Errorf("took %s, told %v", d, *told)
		}
		tk, _ = waited(t, a)
		tk.Answered()
		if d := time.Since(answered); d < 61*time.Second {
			t.Errorf("the call whose report was put off came back after %s", d)
		}
		var e *Error
		if _, err := other.Take(t.Context()); !errors.Is(err, ErrBusy) || !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("without leave to go on alone: %v", err)
		}
		must(t, hangs.lock.Unlock())
	})
}

// TestNotAloneWhenStopping: being stopped or closed is no fault of the ledger.
func TestNotAloneWhenStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		l, told := solo(t, Quota{1, time.Minute}, mustOpen(t, path))
		mustTake(t, l)
		time.AfterFunc(time.Second, func() { _ = l.Close() })
		if _, err := l.Take(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		if _, err := l.Take(t.Context()); !errors.Is(err, ErrClosed) || len(*told) > 0 {
			t.Errorf("got %v, told %v", err, *told)
		}
	})
}

// TestMemoryLedger: without a file the journal's calls still count.
func TestMemoryLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := time.Now()
		<-time.After(10 * time.Second)
		g := MemoryLedger([]Call{{ID: 1, Sent: sent, Answered: sent}, {ID: 2, Sent: sent}})
		l := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: g})
		for i, want := range []time.Duration{51 * time.Second, 61 * time.Second} {
			tk, d := waited(t, l)
			tk.Answered()
			if d != want {
				t.Errorf("token %d took %s, want %s", i, d, want)
			}
		}
	})
}
