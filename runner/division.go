package runner

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ErrDivision is returned when a list cannot be divided into waves as asked.
var ErrDivision = errors.New("cannot be divided into waves")

// ParseWaves reads how many machines each wave ends with, such as
// "10,10%,100%": numbers of machines, or percentages of all. The error is
// [ErrDivision].
func ParseWaves(spec string) ([]WaveSize, error) {
	var sizes []WaveSize
	for word := range strings.SplitSeq(spec, ",") {
		word = strings.TrimSpace(word)
		number, percent := strings.CutSuffix(word, "%")
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || !(n > 0) || percent && n > 100 || !percent && (n != math.Trunc(n) || n > math.MaxInt32) {
			return nil, fmt.Errorf("%w: %q is neither a number of machines nor a percentage", ErrDivision, word)
		}
		sizes = append(sizes, WaveSize{n, percent})
	}
	return sizes, nil
}

// WaveSize is how many machines are in a wave and in those before it.
type WaveSize struct {
	n       float64
	percent bool
}

func (s WaveSize) of(machines int) int {
	if s.percent {
		const noise = 1e-9 // of a product such as 0.07 × 100, which is no 7
		return int(math.Ceil(s.n*float64(machines)/100 - noise))
	}
	return int(s.n)
}

func (s WaveSize) String() string {
	if s.percent {
		return fmt.Sprintf("%g%%", s.n)
	}
	return fmt.Sprintf("%g", s.n)
}

// Divide returns how many machines have been sent at the end of each wave. They
// have to rise, and the last has to be all; the error is [ErrDivision].
func Divide(sizes []WaveSize, machines int) ([]int, error) {
	var ends []int
	before := 0
	for _, s := range sizes {
		n := s.of(machines)
		switch {
		case n <= before:
			return nil, fmt.Errorf("%w: %s of %d machines is %d, which is not above the %d of the wave before", ErrDivision, s, machines, n, before)
		case n > machines:
			return nil, fmt.Errorf("%w: %s is more than the %d machines to send", ErrDivision, s, machines)
		}
		ends = append(ends, n)
		before = n
	}
	if before < machines {
		return nil, fmt.Errorf("%w: the last wave ends with %d of %d machines; end it with 100%%", ErrDivision, before, machines)
	}
	return ends, nil
}

// WaveNames brings the values of a column into the order of the waves that they
// name: that of the numbers if all are numbers, else that in which they first
// come.
func WaveNames(values []string) []string {
	var names []string
	number := map[string]float64{}
	for _, v := range values {
		if slices.Contains(names, v) {
			continue
		}
		names = append(names, v)
		if n, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(n) {
			number[v] = n
		}
	}
	if len(number) == len(names) {
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(number[a], number[b]) })
	}
	return names
}
