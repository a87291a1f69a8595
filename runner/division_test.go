package runner_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"offboard/runner"
)

func TestParseWaves(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"100%":         "[100%]",
		"10,10%,100%":  "[10 10% 100%]",
		"5 , 0.5%, 12": "[5 0.5% 12]",
		"2147483647":   "[2.147483647e+09]",
		"":             "", "10,": "", ",10": "", "0": "", "-1": "", "1.5": "", "0%": "", "100.1%": "", "-5%": "", "ten": "",
		"NaN": "", "NaN%": "", "Inf": "", "Inf%": "", "2147483648": "", "%": "", "10%%": "", "10;20": "",
	} {
		sizes, err := runner.ParseWaves(spec)
		switch {
		case want == "" && !errors.Is(err, runner.ErrDivision):
			t.Errorf("%q: %v, %v; want it refused", spec, sizes, err)
		case want != "" && (err != nil || fmt.Sprint(sizes) != want):
			t.Errorf("%q: %v, %v; want %s", spec, sizes, err, want)
		}
	}
}

func TestDivide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec     string
		machines int
		want     string // the ends, or words of the refusal
	}{
		{"10,10%,100%", 300, "[10 30 300]"},
		{"100,200,100%", 300, "[100 200 300]"},
		{"300", 300, "[300]"},
		{"1%,100%", 150, "[2 150]"}, // no wave is smaller than was said
		{"0.07%,100%", 10_000, "[7 10000]"},
		{"1", 1, "[1]"},
		{"10,10%,100%", 100, "10% of 100 machines is 10, which is not above the 10"},
		{"10,100%", 10, "100% of 10 machines is 10, which is not above the 10"},
		{"10,100%", 5, "10 is more than the 5 machines"},
		{"50%,90%", 10, "ends with 9 of 10 machines; end it with 100%"},
		{"5,10", 20, "ends with 10 of 20"},
		{"20,10,100%", 30, "not above the 20"},
	} {
		sizes, err := runner.ParseWaves(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		ends, err := runner.Divide(sizes, c.machines)
		switch refused := !strings.HasPrefix(c.want, "["); {
		case !refused && (err != nil || fmt.Sprint(ends) != c.want):
			t.Errorf("%s of %d: %v, %v; want %s", c.spec, c.machines, ends, err, c.want)
		case refused && (!errors.Is(err, runner.ErrDivision) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s of %d: %v, %v; want %q", c.spec, c.machines, ends, err, c.want)
		}
	}
}

// TestDivideByChance: a list that is divided at all is divided into waves of at least
// one machine that together are the list, each as large as was asked for.
func TestDivideByChance(t *testing.T) {
	t.Parallel()
	divided := 0
	rapid.Check(t, func(t *rapid.T) {
		machines := rapid.IntRange(1, 20_000).Draw(t, "machines")
		hundredths := rapid.SliceOfNDistinct(rapid.IntRange(1, 9999), 0, 5, rapid.ID).Draw(t, "hundredths of a percent")
		slices.Sort(hundredths)
		hundredths = append(hundredths, 10_000)
		var words []string
		for _, h := range hundredths {
			words = append(words, fmt.Sprintf("%g%%", float64(h)/100))
		}
		sizes, err := runner.ParseWaves(strings.Join(words, ","))
		if err != nil {
			t.Fatal(err)
		}
		ends, err := runner.Divide(sizes, machines)
		if errors.Is(err, runner.ErrDivision) {
			return // two waves end with the same machine
		}
		before := 0
		for i, end := range ends {
			if want := (hundredths[i]*machines + 9999) / 10_000; end != want || end <= before {
				t.Fatalf("%v of %d: %v; wave %d is to end with %d", words, machines, ends, i+1, want)
			}
			before = end
		}
		if err != nil || before != machines {
			t.Fatalf("%v of %d: %v, %v", words, machines, ends, err)
		}
		divided++
	})
	if divided == 0 {
		t.Error("nothing was divided")
	}
}

// TestWaveOf: each wave has the rows from the one behind the last of the wave before
// to its own last, and the last wave all that come behind.
func TestWaveOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.SliceOfNDistinct(rapid.IntRange(1, 50), 1, 6, rapid.ID).Draw(t, "last")
		slices.Sort(last)
		for row := range 60 {
			want := 1
			for _, end := range last[:len(last)-1] {
				if row > end {
					want++
				}
			}
			if got := runner.WaveOf(last, row); got != want {
				t.Fatalf("row %d of %v is in wave %d; want %d", row, last, got, want)
			}
		}
	})
}

func TestWaveNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ values, want string }{
		{"10 9 10 1", "1 9 10"},
		{"2 1.5 -1", "-1 1.5 2"},
		{"pilot rest pilot broad", "pilot rest broad"},
		{"2 1 rest", "2 1 rest"},
		{"10 1 NaN", "10 1 NaN"},
		{"1 01 0", "0 1 01"}, // two names, though one number
		{"a", "a"},
	} {
		if got := runner.WaveNames(strings.Fields(c.values)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v; want %s", c.values, got, c.want)
		}
	}
}
