package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"offboard/internal/simulator"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"offboard": scripted})
}

// scripted is the command but for the machine's policy, which is where
// OFFBOARD_TEST_POLICY says, and may belong to the account that runs the test.
// Whatever is shipped knows no such variable.
func scripted() {
	env := processEnvironment()
	path := os.Getenv("OFFBOARD_TEST_POLICY")
	env.policy = func() (policyPlace, error) { return policyPlace{path, os.Getuid()}, nil }
	if path == "" {
		env.policy = nil
	}
	runProcess(env)
}

// TestScripts runs the whole tool against a simulated tenant. Each script is
// headed by what it guards.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("OFFBOARD_UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("OFFBOARD_STATE_DIR", filepath.Join(e.WorkDir, "state"))
			e.Values[scriptKey{}] = &scriptTenant{}
			e.Values[receiverKey{}] = new(*receiver)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tenant":  tenantCommand,
			"drift":   driftCommand,
			"effects": effectsCommand,
			"exits":   exitsCommand,
			"scrub":   scrubCommand,
			"head":    headCommand,
			"spoil":   spoilCommand,

			"receiver": receiverCommand,
			"posted":   postedCommand,
		},
	})
}

type scriptKey struct{}

// scriptTenant is the tenant of one script.
type scriptTenant struct{ sim *simulator.Simulator }

func tenantOf(ts *testscript.TestScript) *scriptTenant { return ts.Value(scriptKey{}).(*scriptTenant) }

// tenantCommand serves a tenant without limits, points the environment at it
// and writes the list of its machines to machines.csv:
//
//	tenant [machines=20] [id=TENANT] [secret=SECRET] [roles=A,B] [latency=1s] [settle=20s] [fault=KIND:NTH[:ENDPOINT]]... [offline=MACHINE]... [failing=MACHINE]... [tag=TAG:MACHINE]... [discovered=MACHINE]... [refuse=CODE:MACHINE]... [gone=MACHINE]... [act=MACHINE]... [twice=MACHINE]...
//
// $ID0, $NAME0 and so on are its machines. A promise broken before the script's
// end fails the script.
func tenantCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! tenant")
	}
	c := simulator.Config{Machines: 20, Seed: 1, PerMinute: -1, PerHour: -1}
	var after []func(*simulator.Simulator)
	for _, arg := range args {
		if f := tenantSetting(ts, &c, arg); f != nil {
			after = append(after, f)
		}
	}
	sim := simulator.New(c)
	tenantOf(ts).sim = sim
	server, err := serveTenant(sim, "127.0.0.1:0", ts.MkAbs("tenant"))
	ts.Check(err)
	ts.Defer(func() {
		if err := server.Close(); err != nil {
			ts.Logf("close the tenant: %v", err)
		}
		for _, v := range sim.Violations() {
			ts.Fatalf("%s", v)
		}
	})
	ts.Check(os.Rename(server.list, ts.MkAbs("machines.csv")))
	for _, f := range after {
		f(sim)
	}
	for _, s := range server.settings() {
		if s[0] != "OFFBOARD_STATE_DIR" {
			ts.Setenv(s[0], s[1])
		}
	}
	for i, m := range sim.Machines() {
		ts.Setenv(fmt.Sprintf("ID%d", i), m.ID)
		ts.Setenv(fmt.Sprintf("NAME%d", i), m.ComputerDNSName)
	}
	ts.Setenv("TOKEN", sim.IssueToken(simulator.TokenOptions{}))
	ts.Setenv("TOKEN_OFFBOARD", sim.IssueToken(simulator.TokenOptions{Roles: []string{"Machine.Offboard"}}))
}

// tenantSetting applies one argument of tenant, now or once the tenant is made.
func tenantSetting(ts *testscript.TestScript, c *simulator.Config, arg string) (later func(*simulator.Simulator)) {
	name, value, _ := strings.Cut(arg, "=")
	word, number, _ := strings.Cut(value, ":")
	number, endpoint, _ := strings.Cut(number, ":")
	n, err := strconv.Atoi(number)
	switch name {
	case "machines":
		c.Machines, err = strconv.Atoi(value)
	case "roles":
		c.Roles, err = strings.Split(value, ","), nil
	case "id":
		c.TenantID, err = value, nil
	case "secret":
		c.ClientSecret, err = value, nil
	case "latency":
		c.Latency, err = time.ParseDuration(value)
	case "settle":
		c.SettleAfter, err = time.ParseDuration(value)
	case "offline":
		n, err = strconv.Atoi(value)
		later = func(s *simulator.Simulator) {
			m := s.Machines()[n]
			m.Offline, m.LastSeen = true, time.Now().Add(-240*time.Hour)
			s.AddMachine(m)
		}
	case "discovered":
		n, err = strconv.Atoi(value)
		later = func(s *simulator.Simulator) {
			m := s.Machines()[n]
			m.OnboardingStatus = "CanBeOnboarded"
			s.AddMachine(m)
		}
	case "tag":
		later = func(s *simulator.Simulator) {
			m := s.Machines()[n]
			m.MachineTags = append(m.MachineTags, word)
			s.AddMachine(m)
		}
	case "failing":
		n, err = strconv.Atoi(value)
		later = func(s *simulator.Simulator) { m := s.Machines()[n]; m.Failing = true; s.AddMachine(m) }
	case "fault":
		c.Faults = append(c.Faults, simulator.Fault{Kind: simulator.Kind(word), Endpoint: simulator.Endpoint(endpoint), Nth: n, Wait: time.Second, Period: time.Minute})
	case "refuse":
		later = func(s *simulator.Simulator) { m := s.Machines()[n]; m.Refuse = word; s.AddMachine(m) }
	case "act":
		n, err = strconv.Atoi(value)
		later = func(s *simulator.Simulator) { s.Act(s.Machines()[n].ID, "by hand") }
	case "twice": // a person has it sent once more
		n, err = strconv.Atoi(value)
		later = func(s *simulator.Simulator) { s.Authorise(s.Machines()[n].ID, 2) }
	case "gone":
		n, err = strconv.Atoi(value)
		later = func(s *simulator.Simulator) { s.RemoveMachine(s.Machines()[n].ID) }
	default:
		ts.Fatalf("unknown setting %q", arg)
	}
	ts.Check(err)
	return later
}

// effectsCommand checks how many machines the tenant has offboarded, by how many actions
// if that is more, and that it saw no promise broken: effects N [ACTIONS].
func effectsCommand(ts *testscript.TestScript, _ bool, args []string) {
	machines, effects := tenantOf(ts).sim.Effects()
	if len(args) == 1 {
		args = append(args, args[0])
	}
	if len(args) != 2 || strconv.Itoa(machines) != args[0] || strconv.Itoa(effects) != args[1] {
		ts.Fatalf("the tenant has offboarded %d machines by %d actions; want %v", machines, effects, args)
	}
}

// exitsCommand runs a command and checks its exit code: exits CODE COMMAND...
func exitsCommand(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d; want %d", got, want)
	}
}

var scrubbed = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`127\.0\.0\.1[:_]\d+`), "HOST"},
	{regexp.MustCompile(`"token":"\d+"`), `"token":"TOKEN"`},
	{regexp.MustCompile(`"mark":{"seq":"\d+"`), `"mark":{"seq":"SEQ"`},
	{regexp.MustCompile(`\|[0-9a-f-]{36}\.`), "TARGET"},
	{regexp.MustCompile(`"operator":"[^"]*"`), `"operator":"WHO"`},
	{regexp.MustCompile(`"version":"[^"]*"`), `"version":"VERSION"`},
	{regexp.MustCompile(`"(prev|hash|head)":"[0-9a-f]{64}"`), `"$1":"SHA256"`},
}

// spoilCommand damages all that a journal holds of what was accepted: spoil FILE.
func spoilCommand(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, spoiled(b), 0o600))
}

// spoiled damages the records and the events of what was accepted: the short form of
// such an event begins with its kind and states.
func spoiled(b []byte) []byte {
	for _, word := range []string{"\x01\x01\x02\x03", `"Pending"`} {
		b = bytes.ReplaceAll(b, []byte(word), bytes.Repeat([]byte("x"), len(word)))
	}
	return b
}

// headCommand sets a variable to the head of the log that the last command told:
// head VARIABLE.
func headCommand(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	_, head, found := strings.Cut(lines[len(lines)-1], "events, head ")
	if !found {
		ts.Fatalf("the last line is %q", lines[len(lines)-1])
	}
	ts.Setenv(args[0], head)
}

// scrubCommand writes a file's or stream's text with everything replaced that
// differs from run to run: scrub stdout FILE.
func scrubCommand(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "WORK")
	for _, s := range scrubbed {
		text = s.what.ReplaceAllString(text, s.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
