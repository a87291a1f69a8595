package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/simulator"
)

const (
	demoMachines = 180
	demoGone     = 3  // on the list, but not in the tenant
	demoKillAt   = 60 // requests applied before the run is killed
	demoThrottle = 85 // the request that is answered 429
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a campaign, a kill -9 and the resume against an embedded tenant",
		Long: `Serves a simulated tenant with the real limits and drives this program against
it: a campaign, a 429, a kill -9 in the middle, the resume and the final count.
Takes less than two minutes and touches nothing outside temporary directories.
The campaign's report stays in one of them.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

// demonstration is a simulated tenant and the child processes that work on it.
type demonstration struct {
	*tenantServer
	out     io.Writer
	sim     *simulator.Simulator
	applied atomic.Int64
	killAt  chan struct{} // closed at the request that the run is killed in
}

func (a *app) demo(ctx context.Context) error {
	d := &demonstration{out: a.env.stdout, killAt: make(chan struct{})}
	d.sim = simulator.New(simulator.Config{
		Machines: demoMachines, Seed: 1, Latency: 250 * time.Millisecond, Jitter: 100 * time.Millisecond,
		Faults:  []simulator.Fault{{Kind: simulator.Throttle, Nth: demoThrottle, Wait: 5 * time.Second, Period: time.Minute}},
		Observe: d.observe,
	})
	var err error
	if d.tenantServer, err = serveTenant(d.sim, "", ""); err != nil {
		return err
	}
	defer func() { _ = errors.Join(d.Close(), os.RemoveAll(d.dir)) }()
	for _, m := range d.sim.Machines()[:demoGone] {
		d.sim.RemoveMachine(m.ID) // on the list, gone from the tenant
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return d.play(ctx)
}

func (d *demonstration) observe(r simulator.Request) {
	if r.Endpoint == simulator.Offboard && r.Stage == simulator.Answering && d.applied.Add(1) == demoKillAt {
		close(d.killAt)
	}
}

func (d *demonstration) play(ctx context.Context) error {
	d.say("A tenant with %d machines is being served on %s.\nThe list names %d more that are gone. The service allows 100 calls a minute and 1,500 an hour.",
		demoMachines-demoGone, d.URL, demoGone)
	d.say("1. A campaign begins, and is killed with kill -9 while its calls are in flight.")
	killed, err := d.offboard(ctx, d.killAt, "run", d.list, "--comment", "demo of a decommissioning", "--campaign", "demo", "--yes", "--settle-wait", "15s")
	if err != nil {
		return err
	}
	if !killed {
		return errors.New("the run ended before it could be killed")
	}
	_, effects := d.sim.Effects()
	d.say("Killed. The tenant has applied %d offboardings. Some of their answers never arrived:\nthe journal has an intent on disk for each, so the machines in flight are in doubt, not lost and not sent again.", effects)
	d.say("2. Resume. Machines in doubt are settled by asking the service. The quota ledger remembers the calls\nof the killed run, so the minute's window stays full until its calls are a minute old.")
	kept, err := os.MkdirTemp("", "offboard-demo-report-")
	if err != nil {
		return err
	}
	report := filepath.Join(kept, "report.html")
	stop := d.watchWindow(ctx)
	_, err = d.offboard(ctx, nil, "resume", "--campaign", "demo", "--settle-wait", "15s", "--report", report)
	stop()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != int(exitRejected)) {
		return err
	}
	if err := d.account(); err != nil {
		return err
	}
	d.say("The campaign's report is in %s", report)
	return nil
}

// offboard runs this program as a child. If kill is closed first, the child is
// killed as kill -9 does it.
func (d *demonstration) offboard(ctx context.Context, kill <-chan struct{}, args ...string) (killed bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	d.say("$ %s", commandLine(append([]string{"offboard"}, args...)...))
	child := exec.CommandContext(ctx, self, args...) //nolint:gosec // this program itself
	child.Env = unconfigured(os.Environ())
	for _, s := range append(d.settings(), [2]string{"OFFBOARD_LOG_FORMAT", "console"}) {
		child.Env = append(child.Env, s[0]+"="+s[1])
	}
	lines, w := io.Pipe()
	child.Stdout, child.Stderr = w, w
	if err := child.Start(); err != nil {
		return false, err
	}
	shown := make(chan struct{})
	go func() { d.show(lines); close(shown) }()
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(child.Wait(), w.Close()) }()
	select {
	case err = <-ended:
	case <-kill:
		killed = true
		if err = child.Process.Kill(); <-ended == nil {
			err = errors.New("the run ended before it could be killed")
		}
	}
	<-shown
	return killed, err
}

// unconfigured is an environment without what configures this tool, or a sign-in.
func unconfigured(environment []string) []string {
	return slices.DeleteFunc(environment, func(s string) bool {
		for _, prefix := range []string{"OFFBOARD_", "AZURE_", "IDENTITY_", "MSI_", "IMDS_"} {
			if strings.HasPrefix(strings.ToUpper(s), prefix) {
				return true
			}
		}
		return false
	})
}

func (d *demonstration) show(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		_, _ = fmt.Fprintf(d.out, "   %s\n", lines.Text())
	}
	_, _ = io.Copy(io.Discard, r)
}

// watchWindow draws how full the server's minute is, every five seconds.
func (d *demonstration) watchWindow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				used := 0
				for _, at := range d.counted() {
					if now.Sub(at) < time.Minute {
						used++
					}
				}
				_, _ = fmt.Fprintf(d.out, "   the server's last minute: %3d of 100 calls  %s\n", used, strings.Repeat("#", used/2))
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// account compares the end with the tenant's own count.
func (d *demonstration) account() error {
	truth := d.sim.Truth()
	machines, effects := d.sim.Effects()
	d.say("3. The tenant's own count: %s offboarded by %s, none twice; %d not found.\nThe most calls that it counted in any minute: %d. Calls answered 429: %d, which was staged.",
		plural(machines, "machine"), plural(effects, "action"), demoGone, d.fullestMinute(), truth.Calls[simulator.ClassOffboard].Throttled)
	if problems := truth.Violations; len(problems) > 0 {
		return fmt.Errorf("the tenant saw a promise broken: %s", strings.Join(problems, "; "))
	}
	if want := demoMachines - demoGone; machines != want || effects != want {
		return fmt.Errorf("%d machines and %d actions, not %d each", machines, effects, want)
	}
	d.say("Every machine exactly as often as promised.")
	return nil
}

// counted are the times of the calls that the tenant counted.
func (d *demonstration) counted() (times []time.Time) {
	for _, c := range d.sim.Log(simulator.ClassOffboard) {
		if !c.Throttled {
			times = append(times, c.Time)
		}
	}
	return times
}

// fullestMinute is the most calls that the tenant counted in any rolling minute.
func (d *demonstration) fullestMinute() (most int) {
	times := d.counted()
	for i, first := 0, 0; i < len(times); i++ {
		for times[i].Sub(times[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func (d *demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, "\n"+format+"\n", args...)
}
