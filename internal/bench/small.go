package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"offboard/internal/ratio"
)

// seconds runs a reference, or the product's reader, and returns what it printed.
func (b *bench) seconds(ctx context.Context, args ...string) (float64, usage, error) {
	u, err := measureProcess(ctx, nil, []int{0}, b.self, append([]string{"reference"}, args...)...)
	if err != nil {
		return 0, u, err
	}
	s, err := strconv.ParseFloat(strings.TrimSpace(u.stdout), 64)
	return s, u, err
}

// startUp compares the shortest command with a program that prints a line.
func (b *bench) startUp(ctx context.Context) error {
	line, err := b.printer(ctx)
	if err != nil {
		return err
	}
	var ratios, own []float64
	for range 5 * b.turns {
		theirs, err := measureProcess(ctx, nil, []int{0}, line)
		if err != nil {
			return err
		}
		ours, err := measureProcess(ctx, nil, []int{0}, b.offboard, "version")
		if err != nil {
			return err
		}
		ratios, own = append(ratios, ours.wall.Seconds()/theirs.wall.Seconds()), append(own, ours.wall.Seconds())
	}
	return b.report(ratio.Row{
		What: "start-up of offboard version", Reference: "a program that prints a line",
		Measured: ratio.Median(ratios), AtMost: 5, Note: fmt.Sprintf("%.1f ms", 1000*ratio.Median(own)),
	})
}

// printer builds a program that prints a line.
func (b *bench) printer(ctx context.Context) (string, error) {
	source, program := filepath.Join(b.dir, "line.go"), filepath.Join(b.dir, "line.exe")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	err := os.WriteFile(source, []byte("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"a line\") }\n"), 0o600)
	if err != nil {
		return "", err
	}
	_, err = measureProcess(ctx, nil, []int{0}, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, source)
	return program, err
}

// reading compares the product's reader with the standard library's, for lists
// that grow tenfold.
func (b *bench) reading(ctx context.Context) error {
	for _, c := range []struct {
		form, reference string
		atLeast         float64
	}{
		{"csv", "encoding/csv, ReuseRecord, id and name kept", 0.4},
		{"json", "encoding/json's Decoder, streamed", 2},
		{"ndjson", "encoding/json's Decoder, streamed", 2},
	} {
		for n := b.machines / 1000; n <= b.machines; n *= 10 {
			path, err := b.list(c.form, n)
			if err != nil {
				return err
			}
			row, err := b.compareReading(ctx, c.form, path, n)
			if err != nil {
				return err
			}
			row.Reference = c.reference
			if n == b.machines {
				row.AtLeast = c.atLeast
			}
			if err := b.report(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) compareReading(ctx context.Context, form, path string, n int) (ratio.Row, error) {
	var ratios, rates []float64
	var cost usage
	for range b.turns {
		theirs, _, err := b.seconds(ctx, form, path)
		if err != nil {
			return ratio.Row{}, err
		}
		ours, u, err := b.seconds(ctx, "input", path)
		if err != nil {
			return ratio.Row{}, err
		}
		ratios, rates, cost = append(ratios, theirs/ours), append(rates, float64(n)/ours), u
	}
	return ratio.Row{
		What: fmt.Sprintf("reading %d rows of %s, rows a second", n, strings.ToUpper(form)), Measured: ratio.Median(ratios),
		Note: fmt.Sprintf("%.0f rows a second; %s", ratio.Median(rates), cost),
	}, nil
}
