package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"offboard/internal/ratio"
	"offboard/internal/simulator"
)

// left is how many machines a large campaign leaves to its resumption.
const left = 10

// campaign measures campaigns that grow tenfold, and what the largest leaves.
func (b *bench) campaign(ctx context.Context) error {
	for n := b.machines / 1000; n <= b.machines; n *= 10 {
		c := &large{bench: b, machines: n, state: filepath.Join(b.dir, "state")}
		err := c.measure(ctx)
		_ = os.RemoveAll(c.state)
		if err != nil {
			return err
		}
	}
	return nil
}

// large is a campaign of so many machines.
type large struct {
	*bench
	machines int
	state    string
	server   *server
}

// targeted gives the row of the largest campaign its target.
func (c *large) targeted(r ratio.Row, atMost float64) error {
	if c.machines == c.bench.machines {
		r.AtMost = atMost
	}
	return c.report(r)
}

func (c *large) measure(ctx context.Context) (err error) {
	if c.server, err = serve(); err != nil {
		return err
	}
	defer func() { _ = c.server.http.Close() }()
	for _, step := range []func(context.Context) error{c.send, c.resume, c.status, c.compact} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *large) journal() string {
	return filepath.Join(c.state, "bench.journal")
}

func (c *large) send(ctx context.Context) error {
	const budgetSpent = 6
	list, err := c.list("csv", c.machines)
	if err != nil {
		return err
	}
	bytes, err := listBytes(list, c.machines)
	if err != nil {
		return err
	}
	u, err := c.runCampaign(ctx, c.server, list, c.state, []int{budgetSpent}, "--workers", "64", "--journal", c.journal(),
		"--max-calls", strconv.Itoa(c.machines-left))
	if err != nil {
		return err
	}
	return c.targeted(ratio.Row{
		What: fmt.Sprintf("peak anonymous memory of a run of %d machines", c.machines), Reference: "bytes of ids, names and carried columns",
		Measured: float64(u.peak()) / float64(bytes), Note: fmt.Sprintf("%d MB, by quarters of the run %s; %.0f machines a second; %s", u.peak()>>20, u.course(), c.server.rate(), u),
	}, 3)
}

// course is the peak of each quarter of the run, in MB.
func (u usage) course() string {
	text := ""
	for i := range 4 {
		quarter := u.anonymous[i*len(u.anonymous)/4 : (i+1)*len(u.anonymous)/4]
		text += fmt.Sprintf(" %d", usage{anonymous: quarter}.peak()>>20)
	}
	return text
}

// resume measures the time from the start of the process to the first call. Each
// turn makes one call.
func (c *large) resume(ctx context.Context) error {
	var warm, cold, firstWarm []float64
	for range c.turns {
		for _, forget := range []bool{false, true} {
			if forget && !c.forget(ctx) {
				continue
			}
			read, _, err := c.seconds(ctx, "read", c.journal())
			if err != nil {
				return err
			}
			if forget && !c.forget(ctx) {
				continue
			}
			first, err := c.firstCall(ctx)
			switch {
			case err != nil:
				return err
			case forget:
				cold = append(cold, first/read)
			default:
				warm, firstWarm = append(warm, first/read), append(firstWarm, first)
			}
		}
	}
	records := fmt.Sprintf("resume on %d records, to the first call", c.machines)
	if err := c.targeted(ratio.Row{What: records + ", warm", Reference: "1 s", Measured: ratio.Median(firstWarm),
		Note: fmt.Sprintf("%.3g times reading the file", ratio.Median(warm))}, 1); err != nil || len(cold) == 0 {
		return err
	}
	return c.targeted(ratio.Row{What: records + ", cold", Reference: "reading the file once", Measured: ratio.Median(cold)}, 3)
}

func (c *large) firstCall(ctx context.Context) (float64, error) {
	c.server.reset()
	args := append([]string{"resume", "--max-calls", "1", "--journal", c.journal(), "--log-level", "error"}, lifted...)
	began := time.Now()
	_, err := measureProcess(ctx, c.server.environment(c.state), []int{0, 6}, c.offboard, args...)
	return c.server.began().Sub(began).Seconds(), err
}

// forget has the system drop what it holds of the journal in memory, and says
// whether it could.
func (c *large) forget(ctx context.Context) bool {
	if runtime.GOOS != "linux" {
		return false
	}
	return exec.CommandContext(ctx, "dd", "if="+c.journal(), "iflag=nocache", "count=0", "status=none").Run() == nil //nolint:gosec // our own file
}

func (c *large) status(ctx context.Context) error {
	line, err := c.printer(ctx)
	if err != nil {
		return err
	}
	var ratios []float64
	var cost usage
	for range c.turns {
		theirs, err := measureProcess(ctx, nil, []int{0}, line)
		if err != nil {
			return err
		}
		if cost, err = measureProcess(ctx, c.server.environment(c.state), []int{0}, c.offboard, "status", "--journal", c.journal()); err != nil {
			return err
		}
		ratios = append(ratios, cost.wall.Seconds()/theirs.wall.Seconds())
	}
	return c.targeted(ratio.Row{What: fmt.Sprintf("offboard status on %d records", c.machines), Reference: "a program that prints a line",
		Measured: ratio.Median(ratios), Note: cost.String()}, 30)
}

func (c *large) compact(ctx context.Context) error {
	env := append(c.server.environment(c.state), "OFFBOARD_TENANT="+simulator.DefaultTenantID)
	u, err := measureProcess(ctx, env, []int{0}, c.offboard, "journal", "compact", "--journal", c.journal())
	if err != nil {
		return err
	}
	info, err := os.Stat(c.journal())
	if err != nil {
		return err
	}
	each := float64(info.Size()) / float64(c.machines)
	return c.targeted(ratio.Row{
		What: fmt.Sprintf("journal bytes a machine after compaction, %d machines", c.machines), Reference: "JSON of its MachineAction",
		Measured: each / float64(len(action(machineID(0), 0))), Note: fmt.Sprintf("%.0f bytes; compaction: %s", each, u),
	}, 2.5)
}
