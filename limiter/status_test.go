package limiter

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Config{})
		for range 3 {
			mustTake(t, l).Answered()
		}
		from := time.Now()
		<-time.After(10 * time.Second)
		flying := mustTake(t, l)
		s := l.Status()
		if !s.Now.Equal(from.Add(10*time.Second)) || s.InFlight != 1 || !s.PausedUntil.IsZero() {
			t.Errorf("got %+v", s)
		}
		m, h := s.Quotas[0], s.Quotas[1]
		if m.Used != 4 || h.Used != 4 || m.Even || !m.Next.Equal(from.Add(61*time.Second)) || !h.Next.Equal(from.Add(time.Hour+time.Second)) {
			t.Errorf("got %+v", s.Quotas)
		}
		flying.Refused(Throttle{Wait: 9 * time.Second, Period: time.Hour})
		s = l.Status()
		if s.InFlight != 0 || s.Throttled != 1 || s.Quotas[0].Even || !s.Quotas[1].Even || !s.PausedUntil.Equal(s.Now.Add(10*time.Second)) {
			t.Errorf("after a 429 got %+v", s)
		}
		<-time.After(51 * time.Second)
		if s = l.Status(); s.Quotas[0].Used != 0 || !s.Quotas[0].Next.IsZero() || s.Quotas[1].Used != 3 || !s.PausedUntil.IsZero() {
			t.Errorf("a minute later got %+v", s)
		}
	})
}

// TestForecast compares the forecast with what happens when every call is
// answered at once.
func TestForecast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"burst": {},
		"share": {Share: 0.1},
		"even":  {Pace: Even, Share: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := mustNew(t, c)
				for range 5 {
					mustTake(t, l).GivenUp()
					mustTake(t, l).Answered()
				}
				if d := l.Forecast(0); d != 0 {
					t.Errorf("no calls take %s", d)
				}
				const calls = 400
				want := l.Forecast(calls)
				from := time.Now()
				for range calls {
					mustTake(t, l).Answered()
				}
				if got := time.Since(from); (got - want).Abs() > 10*time.Millisecond {
					t.Errorf("forecast %s, took %s", want, got)
				}
			})
		})
	}
}
