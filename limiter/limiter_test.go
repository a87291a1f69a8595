package limiter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// mustNew makes a limiter that the test closes.
func mustNew(t *testing.T, c Config) *Limiter {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustTake(t *testing.T, l *Limiter) *Token {
	t.Helper()
	tk, err := l.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// waited returns how long the next token takes.
func waited(t *testing.T, l *Limiter) (*Token, time.Duration) {
	t.Helper()
	from := time.Now()
	tk := mustTake(t, l)
	return tk, time.Since(from)
}

func one(per time.Duration) []Quota { return []Quota{{N: 1, Per: per}} }

func TestTokenComesBack(t *testing.T) {
	t.Parallel()
	const latency = 7 * time.Second
	for _, c := range []struct {
		name string
		end  func(*Token)
		want time.Duration
	}{
		{"answered", (*Token).Answered, time.Minute + time.Second},
		{"given up", (*Token).GivenUp, 2*time.Minute + time.Second},
		{"unused", (*Token).Unused, 0},
		{"refused", func(tk *Token) { tk.Refused(Throttle{Wait: 5 * time.Second}) }, 6 * time.Second},
		{"reported twice", func(tk *Token) { tk.Answered(); tk.Unused(); tk.GivenUp() }, time.Minute + time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := mustNew(t, Config{Quotas: one(time.Minute)})
				tk := mustTake(t, l)
				<-time.After(latency)
				c.end(tk)
				if _, got := waited(t, l); got != c.want {
					t.Errorf("the token came back %s after the report, want %s", got, c.want)
				}
			})
		})
	}
}

func TestTokenInFlightIsNotGivenTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: one(time.Minute)})
		first := mustTake(t, l)
		time.AfterFunc(3*time.Hour, first.Answered)
		if _, got := waited(t, l); got != 3*time.Hour+61*time.Second {
			t.Errorf("the second call went %s after the first, which took three hours", got)
		}
	})
}

func TestAllQuotasHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: []Quota{{2, time.Minute}, {3, time.Hour}}})
		var got []time.Duration
		from := time.Now()
		for range 4 {
			mustTake(t, l).Answered()
			got = append(got, time.Since(from))
		}
		want := []time.Duration{0, 0, 61 * time.Second, time.Hour + time.Second}
		if !slices.Equal(got, want) {
			t.Errorf("calls went at %v, want %v", got, want)
		}
	})
}

func TestEvenPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: []Quota{{10, 59 * time.Second}}, Pace: Even})
		from := time.Now()
		for i := range 30 {
			mustTake(t, l).Answered()
			want := time.Duration(i) * 6 * time.Second
			if got := time.Since(from); got < want-time.Microsecond || got > want+time.Microsecond {
				t.Fatalf("call %d went after %s, want %s", i, got, want)
			}
		}
	})
}

func TestTakeIsCancellable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: one(time.Hour)})
		first := mustTake(t, l)
		errs := make(chan error, 3)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 { // the one whose turn it is, and two behind it
			go func() {
				_, err := l.Take(ctx)
				errs <- err
			}()
		}
		synctest.Wait()
		from := time.Now()
		cancel()
		for range 3 {
			var e *Error
			if err := <-errs; !errors.Is(err, context.Canceled) || !errors.As(err, &e) {
				t.Errorf("got %v", err)
			}
		}
		if d := time.Since(from); d != 0 {
			t.Errorf("cancelling took %s", d)
		}
		first.Unused()
		if _, d := waited(t, l); d != 0 {
			t.Errorf("a cancelled wait lost a token for %s", d)
		}
		if _, err := l.Take(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over takes a token: %v", err)
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: one(time.Minute)})
		mustTake(t, l).Answered()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := l.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
		if _, d := waited(t, l); d != 51*time.Second {
			t.Errorf("after the deadline the token took %s, want 51 s", d)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: one(time.Minute)})
		tk := mustTake(t, l)
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := l.Take(t.Context())
				errs <- err
			}()
		}
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("who was waiting got %v", err)
			}
		}
		tk.Answered() // too late, but allowed
		if _, err := l.Take(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// TestFair has 64 workers fight for few tokens: they are served in the order in
// which they came, and so all get the same.
func TestFair(t *testing.T) {
	t.Parallel()
	const workers, rounds = 64, 3
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: []Quota{{1, time.Second}}})
		var mu sync.Mutex
		var served []int
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				for range rounds {
					tk := mustTake(t, l)
					mu.Lock()
					served = append(served, i)
					mu.Unlock()
					tk.Answered()
				}
			})
			synctest.Wait() // i has its place in the queue
		}
		wg.Wait()
		// The first one is served before the others come, and queues again at once.
		order := served[1:]
		for i, who := range order[:workers] {
			if who != i {
				t.Fatalf("place %d was served to worker %d: %v", i, who, order[:workers])
			}
		}
		for start := 0; start+workers <= len(order); start += workers {
			round := slices.Sorted(slices.Values(order[start : start+workers]))
			if len(slices.Compact(round)) < workers-1 {
				t.Errorf("someone was served twice in one round: %v", order[start:start+workers])
			}
		}
	})
}
