package limiter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// known is a journal that knows of these calls, whatever the ledger does.
func known(calls ...Call) Recent { return func(Mark) ([]Call, error) { return calls, nil } }

func mustOpen(t *testing.T, path string, recent ...Call) *Ledger {
	t.Helper()
	g, err := OpenLedger(path, known(recent...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// files lists what lies beside the ledger, itself included.
func files(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestLedgerSurvives(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(*Limiter, *Token)
		want time.Duration // from the reopening, 10 s after the end
	}{
		{"answered and closed", func(l *Limiter, tk *Token) { tk.Answered(); _ = l.Close() }, 51 * time.Second},
		{"answered and killed", func(l *Limiter, tk *Token) { tk.Answered(); crashLedger(l.ledger) }, 51 * time.Second},
		{"given up and killed", func(l *Limiter, tk *Token) { tk.GivenUp(); crashLedger(l.ledger) }, 111 * time.Second},
		{"unused and killed", func(l *Limiter, tk *Token) { tk.Unused(); crashLedger(l.ledger) }, 0},
		{"in flight when closed", func(l *Limiter, _ *Token) { _ = l.Close() }, 111 * time.Second},
		{"in flight when killed", func(l *Limiter, _ *Token) { crashLedger(l.ledger) }, 121 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "state", "ledger")
				l := mustNew(t, Config{Quotas: one(time.Minute), Ledger: mustOpen(t, path)})
				c.end(l, mustTake(t, l))
				<-time.After(10 * time.Second)
				l = mustNew(t, Config{Quotas: one(time.Minute), Ledger: mustOpen(t, path)})
				if _, got := waited(t, l); got != c.want {
					t.Errorf("after the restart the token took %s, want %s", got, c.want)
				}
				if got := files(t, path); len(got) != 3 {
					t.Errorf("beside the ledger and its lock there should be one session: %q", got)
				}
			})
		})
	}
}

// TestSharedLedger has two processes share one quota. One is killed with a call
// in flight, which the other notices without being told.
func TestSharedLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		quota := []Quota{{2, time.Minute}}
		a := mustNew(t, Config{Quotas: quota, Ledger: mustOpen(t, path)})
		b := mustNew(t, Config{Quotas: quota, Ledger: mustOpen(t, path)})
		flying := mustTake(t, a)
		mustTake(t, b).Answered()
		if s := a.Status(); s.Quotas[0].Used != 2 || s.InFlight != 1 {
			t.Errorf("a counts %+v", s)
		}
		time.AfterFunc(10*time.Minute, flying.Answered)
		mustTake(t, b).Answered() // at 61 s
		if tk, d := waited(t, b); d != 61*time.Second {
			t.Errorf("with one in flight elsewhere the next one took %s", d)
		} else {
			tk.Answered()
		}
		<-time.After(5 * time.Minute)
		mustTake(t, a)
		crashLedger(a.ledger)
		if s := b.Status(); s.InFlight != 2 {
			t.Errorf("before anyone looked: %+v", s)
		}
		if _, d := waited(t, b); d < 121*time.Second || d > 122*time.Second {
			t.Errorf("after the other's death the token took %s, want 121 s", d)
		}
	})
}

// TestFrozenProcessKeepsItsCalls: a process that lives but does nothing has not
// lost its calls, however long it takes.
func TestFrozenProcessKeepsItsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		a := mustNew(t, Config{Quotas: one(time.Minute), Ledger: mustOpen(t, path)})
		b := mustNew(t, Config{Quotas: one(time.Minute), Ledger: mustOpen(t, path)})
		flying := mustTake(t, a)
		time.AfterFunc(2*time.Hour, flying.Answered)
		if _, d := waited(t, b); d < 2*time.Hour+61*time.Second || d > 2*time.Hour+62*time.Second {
			t.Errorf("took %s, want two hours and 61 s", d)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestClockSetBack: between two runs the wall clock was set back by two hours.
// It is as if no time had passed, and costs no more than that.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		l := mustNew(t, Config{Quotas: one(time.Minute), Ledger: mustOpen(t, path)})
		tk := mustTake(t, l)
		sent := time.Now()
		tk.Answered()
		must(t, l.Close())
		<-time.After(10 * time.Second)

		lost := Call{ID: 1, Sent: sent, Answered: time.Now().Add(-2 * time.Hour)} // stamped after the change
		g, err := openLedger(path, known(Call{ID: tk.ID(), Sent: sent, Answered: sent}, lost), -2*time.Hour)
		must(t, err)
		l = mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: g})
		if s := l.Status(); !s.Now.Equal(sent) || s.Quotas[0].Used != 2 {
			t.Errorf("got %+v, want %s and two calls", s, sent)
		}
		if _, d := waited(t, l); d != 61*time.Second {
			t.Errorf("the token took %s, want 61 s", d)
		}
	})
}

// TestSleepBetweenTwoProcesses: the machine sleeps for an hour while a process has
// the ledger open, and another one begins afterwards. Both are on one time line,
// and what the first sends after the sleep is not old for the second.
func TestSleepBetweenTwoProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		g := mustOpen(t, path)
		a := mustNew(t, Config{Quotas: one(time.Minute), Ledger: g})
		// A bubble cannot sleep, so the clocks are told that it did.
		slept := g.clock.slept + int64(time.Hour)
		g.clock.asleep = func() int64 { return slept }
		mustTake(t, a)
		<-time.After(10 * time.Second)
		after, err := openLedger(path, nil, time.Hour)
		must(t, err)
		b := mustNew(t, Config{Quotas: one(time.Minute), Ledger: after})
		must(t, a.Close()) // gives its call up
		if _, d := waited(t, b); d != 121*time.Second {
			t.Errorf("the token took %s, want 121 s", d)
		}
	})
}

// TestLaggingProcessCatchesUp: a process whose clock is behind another's moves
// onto its time line, so that both count the same.
func TestLaggingProcessCatchesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		a := mustNew(t, Config{Quotas: one(time.Minute), Ledger: mustOpen(t, path)})
		g, err := openLedger(path, nil, time.Hour)
		must(t, err)
		b := mustNew(t, Config{Quotas: one(time.Minute), Ledger: g})
		mustTake(t, b).Answered()
		if _, d := waited(t, a); d != 61*time.Second {
			t.Errorf("took %s, want 61 s", d)
		}
	})
}

func TestReadLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "nowhere", "ledger")
		now := time.Now()
		g, err := ReadLedger(path, known(Call{ID: 1, Sent: now, Answered: now}))
		must(t, err)
		l := mustNew(t, Config{Ledger: g})
		if s := l.Status(); s.Quotas[0].Used != 1 {
			t.Errorf("of a missing file: %+v", s)
		}
		if _, err := l.Take(t.Context()); !errors.Is(err, ErrReadOnly) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("reading created something: %v", err)
		}

		w := mustNew(t, Config{Ledger: mustOpen(t, path)})
		for range 100 {
			mustTake(t, w).Answered()
		}
		before, names := must2(os.ReadFile(path))(t), files(t, path)
		g, err = ReadLedger(path, nil)
		must(t, err)
		l = mustNew(t, Config{Ledger: g})
		if d := l.Forecast(1); d != 61*time.Second {
			t.Errorf("forecast %s, want 61 s", d)
		}
		must(t, l.Close())
		if after := must2(os.ReadFile(path))(t); !bytes.Equal(before, after) {
			t.Error("reading changed the file")
		}
		if got := files(t, path); fmt.Sprint(got) != fmt.Sprint(names) {
			t.Errorf("reading left %q, before it was %q", got, names)
		}
	})
}

func must2[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func TestOpenLedgerRefuses(t *testing.T) {
	t.Parallel()
	newer := filepath.Join(t.TempDir(), "newer")
	must(t, os.WriteFile(newer, appendHeader(nil, header{version: version + 1}), 0o600))
	for name, open := range map[string]func(string, Recent) (*Ledger, error){"OpenLedger": OpenLedger, "ReadLedger": ReadLedger} {
		_, err := open(newer, nil)
		var e *Error
		if !errors.Is(err, ErrVersion) || !errors.As(err, &e) || e.Path != newer || e.Hint == "" || !strings.Contains(err.Error(), newer) {
			t.Errorf("%s of a newer version: %v", name, err)
		}
		if _, err := open(t.TempDir(), nil); !errors.As(err, &e) {
			t.Errorf("%s of a directory: %v", name, err)
		}
	}
	if _, err := os.Stat(newer + sessionSuffix); err != nil {
		t.Errorf("the lock file should be there for the next one: %v", err)
	}
}

func TestLedgerHasOneLimiter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	g := mustOpen(t, path)
	if g.Path() != path {
		t.Errorf("path %q, want %q", g.Path(), path)
	}
	l := mustNew(t, Config{Ledger: g})
	if _, err := New(Config{Ledger: g}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	must(t, l.Close())
	if _, err := New(Config{Ledger: g}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestLockHeldByAStoppedProcess: someone keeps the ledger's lock. Taking can
// still be cancelled, a report returns soon, and nothing is lost by it.
func TestLockHeldByAStoppedProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		l := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: mustOpen(t, path)})
		tk := mustTake(t, l)
		stopped := mustOpen(t, path)
		must2(stopped.lock.TryLock())(t)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		from := time.Now()
		if _, err := l.Take(ctx); err == nil || time.Since(from) != 10*time.Second {
			t.Errorf("took a token without writing it down, or after %s: %v", time.Since(from), err)
		}
		from = time.Now()
		tk.Answered()
		if d := time.Since(from); d > recordPatience {
			t.Errorf("the report took %s", d)
		}
		answered := time.Now()
		if s := l.Status(); s.InFlight != 1 {
			t.Errorf("before it is written the call is in flight: %+v", s)
		}
		if _, err := OpenLedger(path, nil); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		must(t, stopped.lock.Unlock())
		if s := l.Status(); s.InFlight != 0 || !s.Quotas[0].Next.Equal(answered.Add(61*time.Second)) {
			t.Errorf("afterwards: %+v, answered at %s", s, answered)
		}
	})
}

// TestSlotsAreUsedAgain: the file grows with the calls that are counted, not
// with those that were ever made.
func TestSlotsAreUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		l := mustNew(t, Config{Quotas: []Quota{{10, time.Minute}}, Ledger: mustOpen(t, path)})
		for range 500 {
			mustTake(t, l).Answered()
		}
		// A slot is free one late arrival after its token came back.
		if got, want := must2(os.Stat(path))(t).Size(), int64(headerSize+20*slotSize); got > want {
			t.Errorf("the file has %d bytes, want at most %d", got, want)
		}
	})
}
