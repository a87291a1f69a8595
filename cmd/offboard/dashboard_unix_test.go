//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// servedPage is the binary at work with its page.
type servedPage struct {
	*started
	t     *testing.T
	log   string // file with its standard error
	url   string
	token string
}

var printedLink = regexp.MustCompile(`"link":"([^"]+)"`)

// serves starts the binary and waits for its link.
func (r *realTenant) serves(args ...string) *servedPage {
	r.t.Helper()
	file, err := os.CreateTemp(r.t.TempDir(), "stderr")
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	p := &servedPage{started: &started{Cmd: r.command(r.t.Context(), args...), ended: make(chan error, 1)}, t: r.t, log: file.Name()}
	p.Stderr = file
	if err := p.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	for {
		if m := printedLink.FindStringSubmatch(p.said()); m != nil {
			link, err := url.Parse(m[1])
			if err != nil {
				r.t.Fatal(err)
			}
			p.token, link.Fragment = link.Fragment, ""
			p.url = link.String()
			return p
		}
		select {
		case err := <-p.ended:
			r.t.Fatalf("%v\n%s", err, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *servedPage) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// ask does what the page does.
func (p *servedPage) ask(method, path, token string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader("{}"))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return w.StatusCode, string(body)
}

func (p *servedPage) expect(want int, method, path string) string {
	p.t.Helper()
	code, body := p.ask(method, path, p.token)
	if code != want {
		p.t.Errorf("%s %s: %d; want %d: %s", method, path, code, want, body)
	}
	return body
}

// exit waits for the end.
func (p *servedPage) exit() int {
	p.t.Helper()
	var exit *exec.ExitError
	if err := <-p.ended; err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// firstState is the first that an open page is told.
func (p *servedPage) firstState() (state struct {
	Controls bool
	Campaign shown
}) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+"api/events", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Body.Close()
	text, part := []byte{}, make([]byte, 4096)
	for {
		n, err := w.Body.Read(part)
		text = append(text, part[:n]...)
		if _, data, ok := bytes.Cut(text, []byte("event: state\n")); ok && bytes.Contains(data, []byte("\n\n")) {
			_, data, _ = bytes.Cut(data, []byte("data: "))
			data, _, _ = bytes.Cut(data, []byte("\n\n"))
			if err := json.Unmarshal(data, &state); err != nil {
				p.t.Fatal(err)
			}
			return state
		}
		if err != nil {
			p.t.Fatalf("%v: %s", err, text)
		}
	}
}

// TestDashboard serves the page of a run, of following it, and of its journal: who
// has the token reads, pauses and stops, a second process does not get the port,
// and the token is in no file that is left.
func TestDashboard(t *testing.T) {
	t.Parallel()
	r, seen := tenantSeen(t, simulator.Config{Machines: 600, Seed: 1, PerMinute: -1, PerHour: -1, Latency: 300 * time.Millisecond, SettleAfter: -1}, 5)
	dir := t.TempDir()
	path, secrets := filepath.Join(dir, "j"), canaries{}
	where := []string{"--journal", path, "--log-level", "trace", "--log-file", filepath.Join(dir, "log")}
	work := append([]string{"--workers=2", "--per-minute=10000", "--per-hour=10000"}, where...)
	run := r.serves(append([]string{"run", r.list, "--comment", "why", "--yes", "--campaign", "c", "--dashboard", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}, work...)...)
	secrets["token of the run"] = run.token
	<-seen
	if body := run.expect(http.StatusOK, "GET", "api/machines?q=host-00001&state=accepted"); !strings.Contains(body, `"total":600,"matching":1,`) || !strings.Contains(body, `"name":"host-00001.fleet.example"`) {
		t.Error(body)
	}
	if code, body := run.ask("GET", "metrics", ""); code != http.StatusOK || !strings.Contains(body, `offboard_machines{campaign="c"`) {
		t.Errorf("beside the page: %d: %s", code, body)
	}
	for _, strange := range []string{"", run.token[1:]} {
		if code, body := run.ask("POST", "api/stop", strange); code != http.StatusUnauthorized {
			t.Errorf("%d: %s", code, body)
		}
	}
	address := strings.TrimSuffix(strings.TrimPrefix(run.url, "http://"), "/")
	if code, _, stderr := r.output("run", r.list, "--comment", "why", "--yes", "--journal", filepath.Join(dir, "other"), "--dashboard", address); code != int(exitUsage) || !strings.Contains(stderr, "give another port") {
		t.Errorf("the same port: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := r.output("status", "--journal", path, "--serve", "127.0.0.1:0"); code != int(exitLocked) || !strings.Contains(stderr, "--dashboard") {
		t.Errorf("serving it beside the run: exit code %d: %s", code, stderr)
	}
	if first := run.firstState(); !first.Controls || first.Campaign.Kind != pageOfRun || first.Campaign.Running == nil {
		t.Errorf("%+v", first)
	}
	run.expect(http.StatusOK, "POST", "api/pause")
	if held := r.status(path).Running.Held; held == nil || !strings.HasSuffix(held.By, " on the live page") {
		t.Errorf("%+v", held)
	}
	run.expect(http.StatusOK, "POST", "api/unpause")
	run.expect(http.StatusOK, "POST", "api/stop")
	if code := run.exit(); code != int(exitTerminated) || !strings.Contains(run.said(), " on the live page") || !strings.Contains(run.said(), "--dashboard=127.0.0.1:0") {
		t.Errorf("exit code %d: %s", code, run.said())
	}

	follow := r.serves(append([]string{"follow", "--campaign", "c", "--dashboard", "127.0.0.1:0"}, where...)...)
	secrets["token of follow"] = follow.token
	if first := follow.firstState(); first.Controls || first.Campaign.Kind != pageOfFollow {
		t.Errorf("%+v", first)
	}
	follow.expect(http.StatusMethodNotAllowed, "POST", "api/stop")
	follow.signal(t, syscall.SIGINT)
	if code := follow.exit(); code != int(exitInterrupted) {
		t.Errorf("exit code %d: %s", code, follow.said())
	}

	served := r.serves(append([]string{"status", "--campaign", "c", "--serve", "127.0.0.1:0"}, where...)...)
	secrets["token of the journal"] = served.token
	if first := served.firstState(); first.Controls || first.Campaign.Kind != pageOfJournal || first.Campaign.Running != nil || len(first.Campaign.Limits) != 2 {
		t.Errorf("%+v", first)
	}
	served.expect(http.StatusOK, "GET", "api/machines?sort=name&desc=1")
	if code, _, stderr := r.output(append([]string{"resume", "--campaign", "c", "--max-calls", "1"}, work...)...); code != int(exitBudget) {
		t.Errorf("a run beside the page of the journal: exit code %d: %s", code, stderr)
	}
	served.signal(t, syscall.SIGINT)
	if code := served.exit(); code != 0 {
		t.Errorf("exit code %d: %s", code, served.said())
	}
	if found := secrets.sightings(filesOf(t, dir, r.dir)); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

// filesOf reads every file below some directories.
func filesOf(t *testing.T, dirs ...string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files[path], err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 5 {
		t.Fatalf("only %d files", len(files))
	}
	return files
}
