// Command bench measures the built command as a whole process against what one
// would use instead, in the same run, and writes the table of
// docs/performance.md. `make bench` runs it.
//
// It measures ratios: reference and product take turns, and the median of
// several turns counts. What can only be measured inside a test, such as
// campaigns in virtual time, it has `go test` measure.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"offboard/internal/ratio"
)

// bench is one run of all measurements.
type bench struct {
	dir      string // scratch space on the disk that is measured
	offboard string // the command as it is shipped
	self     string // this program, which holds the references
	rows     string // file of [ratio.Row]s
	machines int    // of the largest list
	turns    int
	log      io.Writer
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // the only place
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "reference" {
		return reference(ctx, args[1:], stdout)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	document := fs.String("document", "docs/performance.md", "`file` whose table is replaced")
	machines := fs.Int("machines", 1_000_000, "size of the largest list")
	turns := fs.Int("turns", 3, "turns of reference and product, of which the median counts")
	virtual := fs.Bool("virtual", true, "measure campaigns in virtual time too")
	dir := fs.String("dir", "", "scratch `directory` on the disk to measure")
	if err := fs.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	b, err := prepare(ctx, *dir, stderr)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	b.machines, b.turns = *machines, *turns
	if err := b.measure(ctx, *virtual); err != nil {
		return err
	}
	return b.publish(*document, stdout, time.Since(began))
}

func prepare(ctx context.Context, parent string, log io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp(parent, "offboard-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, rows: filepath.Join(dir, "rows"), offboard: filepath.Join(dir, "offboard.exe"), log: log}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.offboard, "./cmd/offboard") //nolint:gosec // arguments are ours
	build.Stdout, build.Stderr = log, log
	return b, build.Run()
}

func (b *bench) measure(ctx context.Context, virtual bool) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"start-up", b.startUp},
		{"throughput", b.throughput},
		{"reading", b.reading},
		{"a large campaign", b.campaign},
		{"GNU parallel", b.parallel},
	}
	if virtual {
		steps = append(steps, struct {
			name string
			do   func(context.Context) error
		}{"virtual time", b.virtual})
	}
	for _, s := range steps {
		began := time.Now()
		_, _ = fmt.Fprintf(b.log, "%s ...\n", s.name)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		_, _ = fmt.Fprintf(b.log, "%s: %s\n", s.name, time.Since(began).Round(time.Second))
	}
	return nil
}

func (b *bench) report(r ratio.Row) error {
	_, _ = fmt.Fprintln(b.log, r)
	return ratio.Add(b.rows, r)
}

// virtual has the tests measure whose clock is virtual.
func (b *bench) virtual(ctx context.Context) error {
	test := exec.CommandContext(ctx, "go", "test", "./cmd/offboard", "-run", "^(TestMakespans|TestMakespansOfOthers|TestFollowInRounds)$", "-count", "1", "-timeout", "30m")
	test.Env = append(os.Environ(), "OFFBOARD_BENCH="+b.rows)
	if _, err := os.Stat("/dev/shm"); err == nil {
		test.Env = append(test.Env, "TMPDIR=/dev/shm") // the disk takes no virtual time
	}
	test.Stdout, test.Stderr = b.log, b.log
	return test.Run()
}
