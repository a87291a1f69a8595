package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"offboard/internal/simulator"
)

type simulateFlags struct {
	listen, dir              string
	machines                 int
	seed                     int64
	perMinute, perHour       int
	latency, listLag, settle time.Duration
}

func (a *app) simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a tenant that behaves like the real one, to try things on",
		Long: `Serves Entra's token endpoint and the Defender endpoints over TLS on loopback:
the same answers, the same limits, the same oddities, and no machine behind it.
It writes a list and a certificate into a directory, prints the settings to use,
and serves until it is interrupted.`,
		Example: "  offboard simulate --listen 127.0.0.1:8443 --machines 300",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), &f) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:0", "loopback `address` to serve on")
	fs.StringVar(&f.dir, "dir", "", "`directory` for list and certificate (default: a new temporary one)")
	fs.IntVar(&f.machines, "machines", 300, "machines in the tenant")
	fs.Int64Var(&f.seed, "seed", 1, "the same seed makes the same tenant")
	fs.IntVar(&f.perMinute, "per-minute", 100, "calls a minute that it allows; -1 for no limit")
	fs.IntVar(&f.perHour, "per-hour", 1500, "calls an hour that it allows; -1 for no limit")
	fs.DurationVar(&f.latency, "latency", 200*time.Millisecond, "time a call takes")
	fs.DurationVar(&f.listLag, "list-lag", 0, "how far the action list lags behind")
	fs.DurationVar(&f.settle, "settle-after", 20*time.Second, "time after which a machine that is online has acted")
	return cmd
}

func (a *app) simulate(ctx context.Context, f *simulateFlags) error {
	if f.machines < 1 {
		return usageError("--machines %d is not above 0", f.machines)
	}
	sim := simulator.New(simulator.Config{
		Machines: f.machines, Seed: f.seed, PerMinute: f.perMinute, PerHour: f.perHour,
		Latency: f.latency, Jitter: f.latency / 2, ListLag: f.listLag, SettleAfter: f.settle,
	})
	tenant, err := serveTenant(sim, f.listen, f.dir)
	if err != nil {
		return usageError("%w", err)
	}
	defer tenant.Close()
	if err := tenant.instructions(a.env.stdout, runtime.GOOS); err != nil {
		return err
	}
	<-ctx.Done()
	machines, effects := sim.Effects()
	_, err = fmt.Fprintf(a.env.stdout, "%s offboarded, %s applied.\n", plural(machines, "machine"), plural(effects, "action"))
	for _, violation := range sim.Violations() {
		a.log.Error().Msg(violation)
	}
	return err
}

// tenantServer is a simulated tenant with the files that it takes to use it.
type tenantServer struct {
	*simulator.Server
	config   simulator.Config
	dir      string
	ca, list string
}

func serveTenant(sim *simulator.Simulator, listen, dir string) (_ *tenantServer, err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "offboard-"); err != nil {
			return nil, err
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	t := &tenantServer{
		config: sim.Config(), dir: dir,
		ca: filepath.Join(dir, "ca.pem"), list: filepath.Join(dir, "machines.csv"),
	}
	if t.Server, err = sim.Start(listen); err != nil {
		return nil, err
	}
	if err := errors.Join(t.WriteCA(t.ca), writeFile(t.list, func(w io.Writer) error { return sim.WriteList(w, 0) })); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// settings are the environment in which the commands speak to this tenant.
func (t *tenantServer) settings() [][2]string {
	return [][2]string{
		{"AZURE_TENANT_ID", t.config.TenantID},
		{"AZURE_CLIENT_ID", t.config.ClientID},
		{"AZURE_CLIENT_SECRET", t.config.ClientSecret},
		{"OFFBOARD_API_URL", t.URL},
		{"OFFBOARD_AUTHORITY_URL", t.URL},
		{"OFFBOARD_CA_FILE", t.ca},
		{"OFFBOARD_STATE_DIR", filepath.Join(t.dir, "state")},
		{"OFFBOARD_CONFIG", os.DevNull}, // whoever tries things on may have one of a real tenant
	}
}

// instructions prints what to paste into a shell, with the made-up secret of a
// made-up tenant.
func (t *tenantServer) instructions(w io.Writer, goos string) error {
	format, text := "export %s=%s\n", fmt.Sprintf("Serving %s machines on %s. In another shell:\n\n", grouped(t.config.Machines), t.URL)
	if goos == "windows" {
		format = "$env:%s = %s\n"
	}
	for _, s := range t.settings() {
		value := quoteWord(goos, s[1])
		if goos == "windows" && value == s[1] {
			value = "'" + value + "'"
		}
		text += fmt.Sprintf(format, s[0], value)
	}
	text += "\n" + quoteFor(goos, []string{"offboard", "run", t.list, "--comment", "trying it out"}) + "\n\nInterrupt to stop.\n"
	_, err := io.WriteString(w, text)
	return err
}
