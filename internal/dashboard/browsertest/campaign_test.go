package browsertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"offboard/internal/simulator"
)

// campaign is a process of the command against a tenant that answers when the test
// lets it.
type campaign struct {
	t      *testing.T
	sim    *simulator.Simulator
	dir    string
	list   string
	env    []string
	gate   *gate
	wires  *wires
	cmd    *exec.Cmd
	ended  chan error
	stderr strings.Builder // once it has ended
	link   string          // through the wires
	direct string          // as it was printed
}

// gate holds requests to offboard a machine back until so many are let through.
type gate struct {
	mu   sync.Mutex
	more *sync.Cond
	left int
}

func newGate() *gate {
	g := &gate{}
	g.more = sync.NewCond(&g.mu)
	return g
}

func (g *gate) let(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left += n
	g.more.Broadcast()
}

func (g *gate) observe(r simulator.Request) {
	if r.Stage != simulator.Arrived || r.Endpoint != simulator.Offboard {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.left == 0 {
		g.more.Wait()
	}
	g.left--
}

func newCampaign(t *testing.T, c simulator.Config) *campaign {
	t.Helper()
	g := newGate()
	c.Observe = g.observe
	sim := simulator.New(c)
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &campaign{t: t, sim: sim, dir: dir, gate: g, list: filepath.Join(dir, "retired.csv")}
	t.Cleanup(func() { g.let(1 << 30); _ = server.Close() })
	ca := filepath.Join(dir, "ca.pem")
	if err := server.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	if err := sim.WriteList(&list, 0); err != nil {
		t.Fatal(err)
	}
	r.write(list.String())
	config := sim.Config()
	r.env = append(os.Environ(),
		"AZURE_TENANT_ID="+config.TenantID, "AZURE_CLIENT_ID="+config.ClientID, "AZURE_CLIENT_SECRET="+config.ClientSecret,
		"OFFBOARD_API_URL="+server.URL, "OFFBOARD_AUTHORITY_URL="+server.URL, "OFFBOARD_CA_FILE="+ca, "OFFBOARD_STATE_DIR="+filepath.Join(dir, "state"),
	)
	return r
}

func (r *campaign) write(list string) {
	if err := os.WriteFile(r.list, []byte(list), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start runs the command and waits for its link.
func (r *campaign) start(args ...string) {
	r.t.Helper()
	r.cmd = exec.CommandContext(r.t.Context(), command, args...)
	r.cmd.Env = r.env
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	links := make(chan string, 1)
	r.ended = make(chan error, 1)
	go func() {
		r.read(stderr, links)
		r.ended <- r.cmd.Wait()
	}()
	select {
	case r.direct = <-links:
	case err := <-r.ended:
		r.t.Fatalf("%v\n%s", err, &r.stderr)
	}
	address, err := url.Parse(r.direct)
	if err != nil {
		r.t.Fatal(err)
	}
	r.wires = newWires(r.t, address.Host)
	address.Host = r.wires.address
	r.link = address.String()
}

// read keeps what is written, and finds the link in it.
func (r *campaign) read(stderr io.Reader, links chan<- string) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(&r.stderr, lines.Text())
		var line struct{ Link string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Link != "" {
			select {
			case links <- line.Link:
			default:
			}
		}
	}
}

// wait returns the exit code.
func (r *campaign) wait() int {
	r.t.Helper()
	err := <-r.ended
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return r.cmd.ProcessState.ExitCode()
}

// interrupt ends the process.
func (r *campaign) interrupt() int {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	return r.wait()
}

// run is a run of the list with its page.
func (r *campaign) run(args ...string) {
	r.t.Helper()
	r.start(append([]string{
		"run", r.list, "--campaign", "retired-laptops", "--ticket", "CHG-4711", "--comment", "retired", "--yes", "--include-servers",
		"--dashboard", "127.0.0.1:0", "--workers", "2", "--timeout", "10m", "--settle-wait", "1h",
	}, args...)...)
}
