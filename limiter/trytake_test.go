package limiter

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestTryTake: it gives what Take would give at once, waits for nobody, and does
// not overtake who waits.
func TestTryTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		l := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}}, Ledger: mustOpen(t, path)})
		first, second := l.TryTake(), l.TryTake()
		if first == nil || second == nil || l.TryTake() != nil {
			t.Fatalf("of two tokens: %v, %v, and a third", first, second)
		}
		first.Answered()
		second.Answered()
		if s := l.Status(); s.Quotas[0].Used != 2 {
			t.Errorf("%+v", s)
		}
		waiting := make(chan *Token)
		go func() { tk, _ := l.Take(t.Context()); waiting <- tk }()
		synctest.Wait()
		if l.TryTake() != nil {
			t.Error("it overtook one who waits")
		}
		(<-waiting).Unused()

		stopped := mustOpen(t, path)
		must2(stopped.lock.TryLock())(t)
		from := time.Now()
		if l.TryTake() != nil || time.Since(from) > time.Second {
			t.Errorf("with the ledger locked by another it took %s", time.Since(from))
		}
		must(t, stopped.lock.Unlock())
		if l.TryTake() == nil {
			t.Error("afterwards there was none")
		}
		must(t, l.Close())
		if l.TryTake() != nil {
			t.Error("a token of a closed limiter")
		}
	})
}
