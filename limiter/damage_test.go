package limiter

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestRebuildFromJournal(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"missing":     os.Remove,
		"truncated":   func(path string) error { return os.Truncate(path, headerSize) },
		"torn":        func(path string) error { return os.Truncate(path, headerSize+slotSize/2) },
		"overwritten": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("no ledger"), 99), 0o600) },
		"untouched":   func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "ledger")
				g := mustOpen(t, path)
				l := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: g})
				first, second := mustTake(t, l), mustTake(t, l)
				sent := time.Now()
				first.Answered()
				crashLedger(g)
				must(t, spoil(path))
				<-time.After(10 * time.Second)
				g = mustOpen(t, path, Call{ID: first.ID(), Sent: sent, Answered: sent}, Call{ID: second.ID(), Sent: sent})
				if got, want := g.Damage().Header, name == "overwritten"; got != want {
					t.Errorf("damage %+v", g.Damage())
				}
				l = mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: g})
				torn := 0
				if name == "torn" {
					torn = 1
				}
				if s := l.Status(); s.Quotas[0].Used != 2+torn || g.Damage().Slots != torn {
					t.Errorf("counts %d calls, want %d; damage %+v", s.Quotas[0].Used, 2+torn, g.Damage())
				}
				if torn > 0 {
					return
				}
				if _, d := waited(t, l); d != 51*time.Second {
					t.Errorf("the answered call came back after %s, want 51 s", d)
				}
				if tk, d := waited(t, l); d != 70*time.Second {
					t.Errorf("the call without an answer came back %s later, want 70 s", d)
				} else {
					tk.Answered()
				}
			})
		})
	}
}

// TestDamagedSlotCounts flips every bit of a slot in turn: it must never make a
// call disappear.
func TestDamagedSlotCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		l := mustNew(t, Config{Ledger: mustOpen(t, path)})
		mustTake(t, l).Answered()
		must(t, l.Close())
		whole, err := os.ReadFile(path)
		must(t, err)
		<-time.After(30 * time.Second)
		for bit := range slotSize * 8 {
			damaged := bytes.Clone(whole)
			damaged[headerSize+bit/8] ^= 1 << (bit % 8)
			must(t, os.WriteFile(path, damaged, 0o600))
			g := mustOpen(t, path)
			l := mustNew(t, Config{Quotas: one(time.Minute), Ledger: g})
			s := l.Status()
			if g.Damage().Slots != 1 || s.Quotas[0].Used != 1 || !s.Quotas[0].Next.Equal(s.Now.Add(61*time.Second)) {
				t.Fatalf("bit %d: damage %+v, status %+v", bit, g.Damage(), s)
			}
			must(t, l.Close())
			g = mustOpen(t, path)
			if g.Damage() != (Damage{}) {
				t.Fatalf("bit %d: the damage was not mended: %+v", bit, g.Damage())
			}
			must(t, g.Close())
		}
	})
}

// TestFileDestroyedInUse: what the living processes remember is written back.
func TestFileDestroyedInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		g := mustOpen(t, path)
		l := mustNew(t, Config{Quotas: []Quota{{3, time.Minute}}, Ledger: g})
		mustTake(t, l).Answered()
		flying := mustTake(t, l)
		must(t, os.Truncate(path, 0))
		mustTake(t, l).Answered()
		if !g.Damage().Header {
			t.Error("the damage is not told")
		}
		other := mustNew(t, Config{Quotas: []Quota{{3, time.Minute}}, Ledger: mustOpen(t, path)})
		if s := other.Status(); s.Quotas[0].Used != 3 || s.InFlight != 1 {
			t.Errorf("the other process counts %+v", s)
		}
		flying.Answered()
	})
}

// TestLostAccountOfALivingProcess: another process lost the file and began
// anew; we still know our own calls in flight.
func TestLostAccountOfALivingProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		a := mustNew(t, Config{Ledger: mustOpen(t, path)})
		flying := mustTake(t, a)
		must(t, os.Truncate(path, 0))
		b := mustNew(t, Config{Ledger: mustOpen(t, path)})
		if s := b.Status(); s.InFlight != 0 {
			t.Fatalf("nothing was lost: %+v", s)
		}
		mustTake(t, b).Answered()
		mustTake(t, a).Answered()
		if s := b.Status(); s.InFlight != 1 || s.Quotas[0].Used != 3 {
			t.Errorf("b counts %+v, want one in flight of 3", s)
		}
		flying.Answered()
		if s := b.Status(); s.InFlight != 0 || s.Quotas[0].Used != 3 {
			t.Errorf("b counts %+v in the end, want 3", s)
		}
	})
}

// TestDiskFull: a call that cannot be written down is not made, and a report
// that cannot be written is written later.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		g := mustOpen(t, path)
		l := mustNew(t, Config{Quotas: []Quota{{3, time.Minute}}, Ledger: g})
		tk := mustTake(t, l)
		writable := g.file
		g.file = must2(os.Open(path))(t) // every write to it fails
		var e *Error
		if _, err := l.Take(t.Context()); !errors.As(err, &e) || e.Path != path {
			t.Errorf("took a token that could not be written down: %v", err)
		}
		tk.Answered()
		if s := l.Status(); s.Quotas[0].Used != 1 || s.InFlight != 0 {
			t.Errorf("with a full disk: %+v", s)
		}
		must(t, g.file.Close())
		g.file = writable
		mustTake(t, l).Answered()
		if s := mustNew(t, Config{Ledger: mustOpen(t, path)}).Status(); s.Quotas[0].Used != 2 || s.InFlight != 0 {
			t.Errorf("another process counts %+v, want what was reported meanwhile", s)
		}
	})
}

// TestTakenForDead: someone removed the lock file of a living process, and
// another one gave its calls up. It puts them back as soon as it looks.
func TestTakenForDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		g := mustOpen(t, path)
		a := mustNew(t, Config{Ledger: g})
		flying := mustTake(t, a)
		must(t, os.Remove(g.alive.Path()))
		b := mustNew(t, Config{Ledger: mustOpen(t, path)})
		if s := b.Status(); s.InFlight != 0 || s.Quotas[0].Used != 1 {
			t.Fatalf("b does not take it for dead: %+v", s)
		}
		mustTake(t, a).Answered()
		if s := b.Status(); s.InFlight != 1 || s.Quotas[0].Used != 2 {
			t.Errorf("b counts %+v, want one in flight of 2", s)
		}
		flying.Answered()
		if s := b.Status(); s.InFlight != 0 || s.Quotas[0].Used != 2 {
			t.Errorf("b counts %+v in the end, want 2", s)
		}
	})
}

// TestReportLostOnTheWay: a report could not be written, and then another
// process changed the file. What it said of the call is lost, the call is not:
// it counts as given up.
func TestReportLostOnTheWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		g := mustOpen(t, path)
		a := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: g})
		b := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: mustOpen(t, path)})
		tk := mustTake(t, a)
		writable := g.file
		g.file = must2(os.Open(path))(t) // every write to it fails
		tk.Refused(Throttle{Wait: 29 * time.Second})
		must(t, g.file.Close())
		g.file = writable
		mustTake(t, b).Answered()
		s := a.Status()
		if s.Quotas[0].Used != 2 || s.InFlight != 0 {
			t.Errorf("counts %+v, want both", s)
		}
		if !s.PausedUntil.Equal(s.Now.Add(30 * time.Second)) {
			t.Errorf("forgot its own pause: %+v", s)
		}
	})
}

// TestNewerVersionInUse: a newer program took the file over while we had it
// open. We stop rather than write what it does not expect.
func TestNewerVersionInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	g := mustOpen(t, path)
	l, err := New(Config{Ledger: g})
	must(t, err)
	newer := appendHeader(nil, header{version: version + 1})
	must(t, os.WriteFile(path, newer, 0o600))
	if _, err := l.Take(t.Context()); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); !errors.Is(err, ErrVersion) {
		t.Errorf("closing: %v", err)
	}
	if got := must2(os.ReadFile(path))(t); !bytes.Equal(got, newer) {
		t.Error("the newer file was changed")
	}
}
