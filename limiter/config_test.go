package limiter

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no calls":       {Quotas: []Quota{{0, time.Minute}}},
		"too many calls": {Quotas: []Quota{{maxCalls + 1, time.Minute}}},
		"no window":      {Quotas: []Quota{{1, 0}}},
		"same window":    {Quotas: []Quota{{1, time.Minute}, {2, time.Minute}}},
		"share over 1":   {Share: 1.1},
		"share below 0":  {Share: -0.1},
		"share NaN":      {Share: math.NaN()},
		"pace":           {Pace: 7},
		"guard":          {Guard: -1},
		"late arrival":   {LateArrival: -1},
		"endless guard":  {Guard: math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e *Error
			if _, err := New(c); !errors.Is(err, ErrConfig) || !errors.As(err, &e) {
				t.Errorf("got %v, want ErrConfig", err)
			}
		})
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share float64
		want  []int
	}{{0, []int{100, 1500}}, {1, []int{100, 1500}}, {0.5, []int{50, 750}}, {0.29, []int{29, 435}}, {0.999, []int{99, 1498}}, {1e-9, []int{1, 1}}} {
		l := mustNew(t, Config{Share: c.share})
		var got []int
		for _, q := range l.Status().Quotas {
			got = append(got, q.N)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("share %v: quotas %v, want %v", c.share, got, c.want)
		}
	}
}

func TestPaceText(t *testing.T) {
	t.Parallel()
	for _, p := range []Pace{Burst, Even} {
		if got, err := ParsePace(p.String()); got != p || err != nil {
			t.Errorf("%s: got %v, %v", p, got, err)
		}
	}
	if _, err := ParsePace("Fast"); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v", err)
	}
}
