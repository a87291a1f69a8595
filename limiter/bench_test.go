package limiter

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// large is a quota that no benchmark uses up.
func large() []Quota { return []Quota{{maxCalls, time.Minute}, {maxCalls - 1, time.Hour}} }

func benchmarkCalls(b *testing.B, ledgers ...*Ledger) {
	b.Helper()
	var limiters []*Limiter
	for _, g := range ledgers {
		l, err := New(Config{Quotas: large(), Ledger: g})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = l.Close() })
		limiters = append(limiters, l)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t, err := limiters[i%len(limiters)].Take(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		t.Answered()
	}
}

func openBench(b *testing.B, path string) *Ledger {
	b.Helper()
	g, err := OpenLedger(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// BenchmarkCall takes and answers one token at a time. The two plain buckets of
// the last one are what it costs without the guarantee.
func BenchmarkCall(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmarkCalls(b, nil) })
	b.Run("ledger", func(b *testing.B) { benchmarkCalls(b, openBench(b, filepath.Join(b.TempDir(), "ledger"))) })
	b.Run("plain buckets", func(b *testing.B) {
		minute, hour := rate.NewLimiter(rate.Inf, 1), rate.NewLimiter(rate.Inf, 1)
		for b.Loop() {
			if minute.Wait(context.Background()) != nil || hour.Wait(context.Background()) != nil {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkShared has two processes use the ledger in turns while it holds the
// calls of a full hour, so that each reads all of it every time.
func BenchmarkShared(b *testing.B) {
	now := time.Now()
	recent := make([]Call, 1500)
	for i := range recent {
		recent[i] = Call{ID: newID(), Sent: now, Answered: now}
	}
	path := filepath.Join(b.TempDir(), "ledger")
	first, err := OpenLedger(path, known(recent...))
	if err != nil {
		b.Fatal(err)
	}
	limiters := make([]*Limiter, 2)
	for i, g := range []*Ledger{first, openBench(b, path)} {
		if limiters[i], err = New(Config{Quotas: large(), Ledger: g}); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		t, err := limiters[i%2].Take(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		t.Unused()
	}
	for _, l := range limiters {
		_ = l.Close()
	}
}

// BenchmarkOpen opens a ledger with the calls of a full hour.
func BenchmarkOpen(b *testing.B) {
	now := time.Now()
	recent := make([]Call, 1500)
	for i := range recent {
		recent[i] = Call{ID: newID(), Sent: now, Answered: now}
	}
	path := filepath.Join(b.TempDir(), "ledger")
	for b.Loop() {
		g, err := OpenLedger(path, known(recent...))
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkForecast plans a large campaign.
func BenchmarkForecast(b *testing.B) {
	l, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	for b.Loop() {
		l.Forecast(100_000)
	}
}
