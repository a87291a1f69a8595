package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
)

// metricsFlags say where Prometheus finds the numbers of a command.
type metricsFlags struct{ metricsListen, metricsTextfile string }

func (f *metricsFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.metricsListen, "metrics-listen", "", "serve metrics for Prometheus at http://`HOST:PORT`/metrics while the command is at work; anyone who can reach it reads the counts; given the address of --dashboard they are beside the page")
	fs.StringVar(&f.metricsTextfile, "metrics-textfile", "", "write metrics to this `file`, which ends in .prom, for the textfile collector of node_exporter: every 30s and at the end, whatever it is")
}

// measure has the command be seen by Prometheus from now on, as its flags say. A
// file that cannot be written is refused here, before anything was done; the
// address is not taken before the journal is locked, for a second run on the same
// journal and address is to hear of the first.
//
// At the live page's address the metrics are served beside the page.
func (a *app) measure(command string, f *campaignFlags, m *metricsFlags, page *dashboardFlags) error {
	if m.metricsListen == "" && m.metricsTextfile == "" {
		return nil
	}
	if err := m.validate(); err != nil {
		return err
	}
	a.metrics = &metrics{
		app: a, command: command, flags: f, textfile: m.metricsTextfile, address: m.metricsListen,
		beside:  m.metricsListen != "" && m.metricsListen == page.dashboard,
		started: time.Now(), labels: []string{"", "", command},
	}
	a.metrics.name()
	return nil
}

// measure is [app.measure], but for a dry run, which is none.
func (f *runFlags) measure(a *app) error {
	if f.dryRun {
		return nil
	}
	return a.measure("run", &f.campaignFlags, &f.metricsFlags, &f.dashboardFlags)
}

func (f *metricsFlags) validate() error {
	if f.metricsTextfile == "" {
		return nil
	}
	if !strings.HasSuffix(f.metricsTextfile, ".prom") {
		return usageError("--metrics-textfile %s does not end in .prom, so node_exporter would not read it", f.metricsTextfile)
	}
	if info, err := os.Stat(f.metricsTextfile); err == nil && !info.Mode().IsRegular() {
		return usageError("--metrics-textfile %s is not a file", f.metricsTextfile)
	}
	// It is replaced by renaming, so the directory is what has to be writable.
	trial, err := os.CreateTemp(filepath.Dir(f.metricsTextfile), filepath.Base(f.metricsTextfile))
	if err != nil {
		return usageError("--metrics-textfile: %w", err)
	}
	_ = trial.Close()
	if err := os.Remove(trial.Name()); err != nil {
		return usageError("--metrics-textfile: %w", err)
	}
	return nil
}

// name notes what the flags say of tenant and campaign.
func (m *metrics) name() {
	if m.labels[1] == "" {
		m.labels[1] = strings.ToValidUTF8(m.flags.campaign, "?")
	}
	m.labels[0] = strings.ToValidUTF8(m.app.journalTenant(&m.flags.connectionFlags).ID, "?")
}

// locked begins to serve: the journal is this process's, or does not exist yet.
func (m *metrics) locked() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name()
	if m.address == "" || m.beside || m.server != nil {
		return nil
	}
	server, err := serveMetrics(m.address, m.handler())
	if err != nil {
		return usageError("--metrics-listen: %w", err)
	}
	m.server = server
	m.app.log.Info().Str("url", "http://"+server.address+"/metrics").Msg("metrics are served")
	return nil
}

// watch shows a campaign until the function that it returns is called, which
// looks at it once more.
func (m *metrics) watch(l *live) (done func()) {
	if m == nil {
		return func() {}
	}
	l.watch(m.event)
	m.mu.Lock()
	m.live = l
	m.mu.Unlock()
	stop := m.write()
	return func() {
		stop()
		m.mu.Lock()
		defer m.mu.Unlock()
		m.look()
		m.live = nil // the journal is about to be closed
	}
}

// textfileEvery is how old the text file of a run at work may be: node_exporter is
// scraped every 15 s to a minute.
const textfileEvery = 30 * time.Second

// write keeps the text file as it should be until stop is called.
func (m *metrics) write() (stop func()) {
	if m.textfile == "" {
		return func() {}
	}
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(textfileEvery)
		defer tick.Stop()
		for {
			m.writeFile()
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

// writeFile replaces the text file. That it cannot be changes nothing else, and is
// said once.
func (m *metrics) writeFile() {
	err := prometheus.WriteToTextfile(m.textfile, m.registry())
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && !m.failed {
		m.app.log.Warn().AnErr("error", err).Str("file", m.textfile).Msg("the metrics were not written")
	}
	m.failed = err != nil
}

func (m *metrics) registry() *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	return r
}

// end shows how the command ended. A command that found the journal locked leaves
// the file to the one that is at work.
func (m *metrics) end(code exitCode) {
	if m == nil {
		return
	}
	m.mu.Lock()
	m.name()
	m.ended = &ending{time.Now(), code}
	server := m.server
	m.mu.Unlock()
	if m.textfile != "" && code != exitLocked {
		m.writeFile()
	}
	if server != nil {
		server.close()
	}
}
