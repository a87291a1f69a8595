package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"offboard/internal/simulator"
)

// exposition reads a text file of metrics and checks what holds for every one: its
// mode, that no other file is left beside it, that Prometheus's own linter has
// nothing to say, and that no secret or machine is in it.
func exposition(t *testing.T, v *virtualTenant, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.New(strings.NewReader(string(text))).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%+v %v", problems, err)
	}
	beside, err := filepath.Glob(path + "*")
	if info, e := os.Stat(path); e != nil || err != nil || len(beside) != 1 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v %v %v", info, beside, err, e)
	}
	secrets := []string{v.env["OFFBOARD_TOKEN"], operator()}
	for _, m := range v.sim.Machines() {
		secrets = append(secrets, m.ID, m.ComputerDNSName)
	}
	for _, secret := range secrets {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is shown:\n%s", secret, text)
		}
	}
	return string(text)
}

// goldenMetrics is golden but for versions and instants.
func goldenMetrics(t *testing.T, name, text string) {
	t.Helper()
	text = regexp.MustCompile(`(version)="[^"]*"`).ReplaceAllString(text, `$1="VERSION"`)
	text = regexp.MustCompile(`(timestamp_seconds\{[^}]*\}) \S+`).ReplaceAllString(text, `$1 TIME`)
	golden(t, filepath.Join("metrics", name), text)
}

// sample is the value of a series whose labels are those of this test's tenant.
func sample(t *testing.T, text, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(?:\{[^}]*\})? (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// TestMetricsOfACampaign: the text file of a campaign that is throttled, waits for
// the minute, is paused and goes on, and of its following: the counts are those of
// the tenant, and every metric is there at some time.
func TestMetricsOfACampaign(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := withDoors(newVirtualTenant(t, simulator.Config{
			Machines: 250, Seed: 1, Latency: 100 * time.Millisecond, SettleAfter: time.Hour,
			Faults: []simulator.Fault{{Kind: simulator.Throttle, Nth: 120, Wait: 5 * time.Second}},
		}))
		defer v.close()
		path, began := filepath.Join(v.dir, "offboard-run.prom"), time.Now()
		run := v.begin("run", v.list, "--comment", "why", "--yes", "--workers", "1", "--metrics-textfile", path)
		<-time.After(35 * time.Second)
		sending := exposition(t, v, path)
		goldenMetrics(t, "sending.prom", sending)
		if code, _, stderr := v.run(t.Context(), "pause"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		<-time.After(time.Minute)
		if paused := sample(t, exposition(t, v, path), "offboard_paused"); paused != "1" {
			t.Errorf("paused: %s", paused)
		}
		if code, _, stderr := v.run(t.Context(), "unpause"); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if e := <-run; e.code != exitOK {
			t.Fatalf("exit code %d: %s", e.code, e.stderr)
		}
		ended := exposition(t, v, path)
		goldenMetrics(t, "ended.prom", ended)
		for name, want := range map[string]time.Time{"counted": time.Now(), "last_run_ended": time.Now(), "run_started": began} {
			got, err := strconv.ParseFloat(sample(t, ended, "offboard_"+name+"_timestamp_seconds"), 64)
			if off := want.Sub(time.UnixMilli(int64(got * 1000))).Abs(); err != nil || off > time.Second {
				t.Errorf("%s: off by %s, %v", name, off, err)
			}
		}
		if calls := v.sim.Truth().Calls[simulator.ClassOffboard]; calls.Arrived != 251 || calls.Throttled != 1 {
			t.Errorf("%+v", calls)
		}

		path = filepath.Join(v.dir, "offboard-follow.prom")
		if code, _, stderr := v.run(t.Context(), "follow", "--for", "0", "--metrics-textfile", path); code != exitBudget {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		followed := exposition(t, v, path)
		goldenMetrics(t, "followed.prom", followed)

		for _, m := range allMetrics {
			if !strings.Contains(sending+ended, "\n"+m.name+"{") {
				t.Errorf("no %s was seen", m.name)
			}
		}
	})
}

// TestMetricsOfEndings: whatever ends a command, the text file has its exit code, and
// the campaign as far as there is one.
func TestMetricsOfEndings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args     []string
		env      map[string]string
		refused  int // machines
		code     exitCode
		machines string // planned, "" if the campaign is not known
	}{
		"bad list":      {[]string{"run", "none.csv"}, nil, 0, exitUsage, ""},
		"sign-in":       {[]string{"run", "LIST"}, map[string]string{"OFFBOARD_TOKEN": "no token"}, 0, exitSignIn, ""},
		"guard":         {[]string{"run", "LIST", "--max", "1"}, nil, 0, exitGuard, ""},
		"failure guard": {[]string{"run", "LIST", "--max-failures", "1"}, nil, 4, exitGuard, "3"},
		"budget":        {[]string{"run", "LIST", "--max-calls", "2"}, nil, 0, exitBudget, "3"},
		"panic":         {[]string{"run", "LIST"}, map[string]string{"PANIC": "yes"}, 0, exitUnexpected, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtualTenant(t, simulator.Config{Machines: 5, Seed: 1})
				defer v.close()
				for _, m := range v.sim.Machines()[:c.refused] {
					m.Refuse = "InvalidState"
					v.sim.AddMachine(m)
				}
				for name, value := range c.env {
					v.env[name] = value
				}
				v.spoil = func(e *environment, _ *http.Transport) {
					if c.env["PANIC"] != "" {
						e.policy = func() (policyPlace, error) { panic("a secret") }
					}
				}
				path := filepath.Join(v.dir, "offboard.prom")
				args := append(slices.Clone(c.args), "--comment", "why", "--yes", "--workers", "1", "--metrics-textfile", path, "--campaign", "c")
				if args[1] == "LIST" {
					args[1] = v.list
				}
				if code, _, stderr := v.run(t.Context(), args...); code != c.code {
					t.Fatalf("exit code %d, want %d: %s", code, c.code, stderr)
				}
				text := exposition(t, v, path)
				if got := sample(t, text, "offboard_last_run_exit_code"); got != strconv.Itoa(int(c.code)) || sample(t, text, "offboard_running") != "0" {
					t.Errorf("exit code %s, want %d:\n%s", got, c.code, text)
				}
				if !strings.Contains(text, `offboard_last_run_exit_code{campaign="c",command="run",tenant="`+v.env["AZURE_TENANT_ID"]+`"} `) {
					t.Errorf("labels:\n%s", text)
				}
				planned := regexp.MustCompile(`offboard_machines\{.*state="planned",.*\} (\d+)`).FindStringSubmatch(text)
				if (planned == nil) != (c.machines == "") || planned != nil && planned[1] != c.machines {
					t.Errorf("planned: %v, want %q", planned, c.machines)
				}
			})
		})
	}
}

// TestMetricsWhenStopped: a run that is stopped in the middle leaves the counts and
// the code of its end.
func TestMetricsWhenStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 250, Seed: 1, Latency: 100 * time.Millisecond})
		defer v.close()
		path := filepath.Join(v.dir, "offboard.prom")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Second, func() { stop(interruption{os.Interrupt}) })
		code, _, stderr := v.run(ctx, "run", v.list, "--comment", "why", "--yes", "--metrics-textfile", path)
		text := exposition(t, v, path)
		if code != exitInterrupted || sample(t, text, "offboard_last_run_exit_code") != "130" || sample(t, text, "offboard_calls_total") != "100" {
			t.Errorf("exit code %d: %s%s", code, stderr, text)
		}
		if !strings.Contains(stderr, "--metrics-textfile="+path) {
			t.Errorf("the command that goes on: %s", stderr)
		}
	})
}

// TestMetricsFileIsLost: a directory that disappears while the run goes on costs a
// warning and nothing else.
func TestMetricsFileIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 250, Seed: 1, Latency: 100 * time.Millisecond})
		defer v.close()
		dir := filepath.Join(v.dir, "collector")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Second, func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--metrics-textfile", filepath.Join(dir, "offboard.prom"))
		if said := strings.Count(stderr, "the metrics were not written"); code != exitOK || said != 1 {
			t.Errorf("exit code %d, said %d times: %s", code, said, stderr)
		}
		v.checkWindow(250)
	})
}

// TestMetricsAreServed: the address is in the log, a scrape shows the campaign that
// is at work, nothing but GET and HEAD of /metrics is answered, and when the run has
// ended nothing listens any more.
func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	v := newVirtualTenant(t, simulator.Config{
		Machines: 3, Seed: 1, SettleAfter: time.Millisecond,
		Observe: func(r simulator.Request) {
			if r.Endpoint == simulator.Offboard && r.Stage == simulator.Arrived {
				select {
				case held <- struct{}{}:
					<-release
				case <-release:
				}
			}
		},
	})
	defer v.close()
	log := &logWatch{found: make(chan string, 1), pattern: regexp.MustCompile(`"url":"(http://127\.0\.0\.1:\d+/metrics)"`)}
	v.spoil = func(e *environment, _ *http.Transport) { e.stderr = log }
	run := v.begin("run", v.list, "--comment", "why", "--yes", "--workers", "1", "--timeout", "1h", "--metrics-listen", "127.0.0.1:0")
	url := ""
	select {
	case url = <-log.found:
	case e := <-run:
		t.Fatalf("exit code %d: %s", e.code, log.text())
	}
	select {
	case <-held:
	case e := <-run:
		t.Fatalf("exit code %d: %s", e.code, log.text())
	}
	if status, text := scrape(t, http.MethodGet, url); status != http.StatusOK || sample(t, text, "offboard_running") != "1" ||
		!strings.Contains(text, `state="planned"`) {
		t.Errorf("%d %s", status, text)
	}
	for _, c := range []struct {
		method, url string
		status      int
	}{
		{http.MethodHead, url, http.StatusOK},
		{http.MethodPost, url, http.StatusMethodNotAllowed},
		{http.MethodDelete, url, http.StatusMethodNotAllowed},
		{http.MethodGet, strings.TrimSuffix(url, "metrics"), http.StatusNotFound},
		{http.MethodGet, url + "/../debug/pprof", http.StatusNotFound},
	} {
		if status, _ := scrape(t, c.method, c.url); status != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.url, status, c.status)
		}
	}
	// The address is taken: a run of another journal is refused before it sends anything.
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
	v.spoil = nil
	code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--journal", filepath.Join(v.dir, "other"), "--metrics-listen", address)
	if code != exitUsage || !strings.Contains(stderr, "--metrics-listen") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	// A run of the same journal hears of the first one instead, and leaves its file alone.
	path := filepath.Join(v.dir, "offboard.prom")
	if code, _, stderr := v.run(t.Context(), "run", v.list, "--comment", "why", "--yes", "--metrics-listen", address, "--metrics-textfile", path); code != exitLocked {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of the run at work was written: %v", err)
	}
	close(release)
	if e := <-run; e.code != exitOK {
		t.Errorf("exit code %d: %s", e.code, log.text())
	}
	if response, err := http.Get(url); err == nil { // by somebody else, who has the port now
		if body, _ := io.ReadAll(response.Body); strings.Contains(string(body), "offboard_running") {
			t.Error("it is served on")
		}
		_ = response.Body.Close()
	}
	if n, effects := v.sim.Effects(); n != 3 || effects != 3 {
		t.Errorf("%d machines by %d actions", n, effects)
	}
}

func scrape(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true // or the server would wait for the connection at its end
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// logWatch is a log that tells the first match of a pattern's group.
type logWatch struct {
	pattern *regexp.Regexp
	found   chan string // with room for one

	mu  sync.Mutex
	all strings.Builder
}

func (l *logWatch) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.pattern.FindSubmatch(line); m != nil {
		select {
		case l.found <- string(m[1]):
		default:
		}
	}
	return l.all.Write(line)
}

func (l *logWatch) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
