package limiter

import (
	"math"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestPauseLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		r    Throttle
		want time.Duration
	}{
		{"says how long", Throttle{Wait: 8 * time.Second, Period: time.Minute}, 9 * time.Second},
		{"says nothing", Throttle{}, 61 * time.Second},
		{"names the minute", Throttle{Period: time.Minute}, 61 * time.Second},
		{"names the hour", Throttle{Period: time.Hour}, time.Hour + time.Second},
		{"zero", Throttle{Wait: 0, Period: 0}, 61 * time.Second},
		{"negative", Throttle{Wait: -5 * time.Second}, 61 * time.Second},
		{"a day", Throttle{Wait: 86400 * time.Second}, time.Hour + time.Second},
		{"for ever", Throttle{Wait: math.MaxInt64}, time.Hour + time.Second},
		{"rounded to nothing", Throttle{Wait: 1}, time.Second + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := mustNew(t, Config{})
				mustTake(t, l).Refused(c.r)
				if _, got := waited(t, l); got != c.want {
					t.Errorf("paused for %s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestPauseIsShared has one of two processes refused: the other one pauses too,
// and so does one that starts later; a shorter pause does not cut a longer one.
func TestPauseIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger")
		a := mustNew(t, Config{Ledger: mustOpen(t, path)})
		b := mustNew(t, Config{Ledger: mustOpen(t, path)})
		second := mustTake(t, b)
		from := time.Now()
		mustTake(t, a).Refused(Throttle{Wait: 29 * time.Second})
		second.Refused(Throttle{Wait: 2 * time.Second})
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		c := mustNew(t, Config{Ledger: mustOpen(t, path)})
		processes := []*Limiter{b, c}
		for _, l := range processes {
			if s := l.Status(); !s.PausedUntil.Equal(from.Add(30 * time.Second)) {
				t.Errorf("paused until %s, want 30 s from %s", s.PausedUntil, from)
			}
		}
		for _, l := range processes {
			mustTake(t, l).Answered()
			if d := time.Since(from); d < 30*time.Second || d > 31*time.Second {
				t.Errorf("sent %s after the refusal, want 30 s", d)
			}
		}
	})
}

// TestEvenAfterRefusal follows the pace after a 429: even for one whole clean
// window of the kind that it named, and that long again after another one.
func TestEvenAfterRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{Quotas: []Quota{{10, 59 * time.Second}, {1000, time.Hour}}})
		mustTake(t, l).Refused(Throttle{Wait: 4 * time.Second, Period: 59 * time.Second})
		from := time.Now()
		mustTake(t, l).Answered() // at 5 s
		for i := range 5 {
			tk, d := waited(t, l)
			if (d - 6*time.Second).Abs() > time.Microsecond {
				t.Errorf("call %d after the pause waited %s, want 6 s", i, d)
			}
			if i == 4 { // at 35 s
				tk.Refused(Throttle{Wait: 4 * time.Second, Period: 59 * time.Second})
				break
			}
			tk.Answered()
		}
		<-time.After(4*time.Second + 59*time.Second) // a second short of the clean window
		if s := l.Status(); !s.Quotas[0].Even || s.Quotas[1].Even {
			t.Errorf("%s after the first refusal: %+v", time.Since(from), s.Quotas)
		}
		<-time.After(time.Second)
		if s := l.Status(); s.Quotas[0].Even {
			t.Errorf("a window after the pause the pace is still even: %+v", s.Quotas)
		}
		<-time.After(time.Minute)
		for i := range 10 {
			tk, d := waited(t, l)
			tk.Answered()
			if d != 0 {
				t.Errorf("call %d waited %s after all that", i, d)
			}
		}
	})
}

func TestUnnamedPeriodIsTheShortest(t *testing.T) {
	t.Parallel()
	for _, period := range []time.Duration{0, time.Second} {
		l := mustNew(t, Config{Quotas: []Quota{{1500, time.Hour}, {100, time.Minute}}})
		mustTake(t, l).Refused(Throttle{Wait: time.Second, Period: period})
		if s := l.Status(); s.Quotas[0].Even || !s.Quotas[1].Even {
			t.Errorf("period %s: %+v", period, s.Quotas)
		}
	}
}

// sharedServer keeps a sliding log that another client of the same app fills too.
type sharedServer struct {
	quotas []Quota
	log    []time.Time
	ours   int
	theirs int
}

// call returns how long to wait if it refuses, and the quota's window.
func (s *sharedServer) call() (wait, period time.Duration, ok bool) {
	now := time.Now()
	for _, q := range s.quotas {
		recent := s.log[max(0, len(s.log)-q.N):]
		if len(recent) == q.N && now.Sub(recent[0]) < q.Per {
			return (q.Per - now.Sub(recent[0])).Truncate(time.Second), q.Per, false
		}
	}
	s.log = append(s.log, now)
	return 0, 0, true
}

// TestQuotaSharedWithOthers has another tool send five calls a minute with the
// same app. Sharing by --share has nobody refused; without it the refusals stay
// few, since the pace becomes even.
func TestQuotaSharedWithOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share float64
		most  int // refusals of ours in 1,000 calls
	}{{0.8, 0}, {1, 12}} {
		synctest.Test(t, func(t *testing.T) {
			s := &sharedServer{quotas: DefaultQuotas()}
			l := mustNew(t, Config{Share: c.share})
			next := time.Now()
			for done := 0; done < 1000; {
				tk := mustTake(t, l)
				for ; !next.After(time.Now()); next = next.Add(12 * time.Second) {
					if _, _, ok := s.call(); !ok {
						s.theirs++
					}
				}
				wait, period, ok := s.call()
				if !ok {
					s.ours++
					tk.Refused(Throttle{Wait: wait, Period: period})
					continue
				}
				tk.Answered()
				done++
			}
			t.Logf("share %v: %d of ours refused, %d of theirs", c.share, s.ours, s.theirs)
			if s.ours > c.most || c.most == 0 && s.theirs > 0 {
				t.Errorf("%d of our calls were refused, want at most %d", s.ours, c.most)
			}
		})
	}
}
