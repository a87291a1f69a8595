package main

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offboard/journal"
	"offboard/runner"
)

// metric is a row of the table in docs/monitoring.md.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	own        []string // labels beside everyMetrics
	desc       *prometheus.Desc
}

// everyMetrics are the labels that every metric has. They keep the files of several
// campaigns and commands apart, which may lie in one directory.
var everyMetrics = []string{"tenant", "campaign", "command"}

func newMetric(name string, kind prometheus.ValueType, help string, own ...string) metric {
	name = "offboard_" + name
	labels := append(append([]string{}, everyMetrics...), own...)
	return metric{name, help, kind, own, prometheus.NewDesc(name, help, labels, nil)}
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var (
	metricBuild     = newMetric("build_info", gauge, "Always 1; the version is in its labels.", "version", "goversion")
	metricRunning   = newMetric("running", gauge, "1 while the command is at work, 0 when it has ended.")
	metricStarted   = newMetric("run_started_timestamp_seconds", gauge, "When the command began.")
	metricEnded     = newMetric("last_run_ended_timestamp_seconds", gauge, "When the command ended; absent while it is at work.")
	metricExitCode  = newMetric("last_run_exit_code", gauge, "What the command ended with; absent while it is at work.")
	metricMachines  = newMetric("machines", gauge, "Machines of the campaign by state; they add up to the list.", "state")
	metricCounted   = newMetric("counted_timestamp_seconds", gauge, "When the machines were counted.")
	metricCalls     = newMetric("calls_total", counter, "Offboard requests of this run that reached the service, or may have.")
	metricThrottled = newMetric("throttled_total", counter, "Requests of this command that were answered 429, by API: offboard or list.", "api")
	metricPauses    = newMetric("pauses_total", counter, "How often the command waited because the service did not answer as it should.")
	metricPaused    = newMetric("paused", gauge, "1 while 'offboard pause' holds the run, else 0.")
	metricUsed      = newMetric("quota_used", gauge, "Offboard calls that count against a limit now; present while machines are sent.", "window")
	metricLimit     = newMetric("quota_limit", gauge, "The limit, after --share; present while machines are sent.", "window")
	metricWaiting   = newMetric("waiting_until_timestamp_seconds", gauge, "Until when the run waits; absent while it waits for nothing but answers.")
	metricEnds      = newMetric("campaign_ends_timestamp_seconds", gauge, "When the last machine can have been sent; present while that is known.")
)

// allMetrics are in the order of the documentation.
var allMetrics = []metric{
	metricMachines, metricCounted, metricRunning, metricStarted, metricEnded, metricExitCode,
	metricCalls, metricThrottled, metricPauses, metricUsed, metricLimit, metricPaused, metricWaiting, metricEnds,
	metricBuild,
}

// metrics are what Prometheus is shown of one command: counts and instants, no
// machine's id or name.
type metrics struct {
	app                      *app
	command                  string
	flags                    *campaignFlags
	textfile, address        string
	beside                   bool // the live page, at its address
	started                  time.Time
	throttled, listThrottled atomic.Int64
	pauses                   atomic.Int64

	mu     sync.Mutex
	labels []string // values of everyMetrics
	live   *live    // while there is one to ask
	last   *result  // what it said last
	at     time.Time
	calls  int64 // of this run; the journal learns of them at its end
	ended  *ending
	server *metricsServer
	failed bool // the last time that the text file was written
}

type ending struct {
	at   time.Time
	code exitCode
}

// event counts what no snapshot has. It must not wait.
func (m *metrics) event(e runner.Event) {
	switch {
	case e.Kind == runner.EventPaused:
		m.pauses.Add(1)
	case e.Kind == runner.EventThrottled && e.MachineID == "":
		m.listThrottled.Add(1)
	case e.Kind == runner.EventThrottled:
		m.throttled.Add(1)
	}
}

// look asks how the campaign stands. Where that fails the last answer stays, with
// its time.
func (m *metrics) look() {
	if m.live == nil {
		return
	}
	r, err := m.live.status("")
	if err != nil {
		return
	}
	m.last, m.at = &r, time.Now()
	m.labels[1] = r.Campaign
	if r.StartedAt != nil && r.StartedAt.Equal(m.live.started) {
		m.calls = max(m.calls, r.Calls.Sent)
	}
}

// Describe is part of [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, metric := range allMetrics {
		ch <- metric.desc
	}
}

// Collect is part of [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.look()
	show := func(k metric, value float64, own ...string) {
		labels := append(append([]string{}, m.labels...), own...)
		ch <- prometheus.MustNewConstMetric(k.desc, k.kind, value, labels...)
	}
	m.showCommand(show)
	if m.last != nil {
		m.showCampaign(show)
		m.showRunning(show, m.last.Running)
	}
}

// shower takes a metric with its value and the values of its own labels.
type shower func(k metric, value float64, own ...string)

func (m *metrics) showCommand(show shower) {
	show(metricBuild, 1, versionString(), runtime.Version())
	show(metricStarted, seconds(m.started))
	show(metricRunning, truth(m.ended == nil))
	show(metricThrottled, float64(m.listThrottled.Load()), "list")
	show(metricPauses, float64(m.pauses.Load()))
	if m.ended != nil {
		show(metricEnded, seconds(m.ended.at))
		show(metricExitCode, float64(m.ended.code))
	}
}

func (m *metrics) showCampaign(show shower) {
	for _, state := range journal.States() {
		show(metricMachines, float64(m.last.Counts[state.String()]), state.String())
	}
	show(metricCounted, seconds(m.at))
	if m.command != "follow" { // which sends nothing
		show(metricCalls, float64(m.calls))
		show(metricThrottled, float64(m.throttled.Load()), "offboard")
	}
}

func (m *metrics) showRunning(show shower, r *running) {
	if r == nil {
		return
	}
	show(metricPaused, truth(r.Held != nil && m.ended == nil))
	if m.ended != nil {
		return
	}
	for _, q := range r.Quotas {
		window := strings.TrimSuffix(strings.TrimSuffix((time.Duration(q.PerSeconds)*time.Second).String(), "0s"), "0m")
		show(metricUsed, float64(q.Used), window)
		show(metricLimit, float64(q.Limit), window)
	}
	if r.Waiting != nil {
		show(metricWaiting, seconds(r.Waiting.Until))
	}
	if r.EndsAt != nil {
		show(metricEnds, seconds(*r.EndsAt))
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
