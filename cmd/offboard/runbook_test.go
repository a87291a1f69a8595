package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // for the notes

	"offboard/internal/simulator"
)

// story is what a part of the runbook meets with.
type story struct {
	tenant  simulator.Config
	prepare func(*reader)
	repair  func(*reader)
	end     func(*reader)
}

// reader does what the runbook says.
type reader struct {
	*virtualTenant
	variables map[string]string
	under     <-chan finished // the command that is under way, if there is one
	step      *step           // that one

	mu      sync.Mutex // of what several commands use at once
	account string     // "" for one's own
	logs    []*logFile
}

func newReader(t *testing.T, c simulator.Config) *reader {
	t.Helper()
	r := &reader{virtualTenant: newVirtualTenant(t, c), variables: map[string]string{}}
	r.env["OFFBOARD_TOKEN"] = r.sim.IssueToken(simulator.TokenOptions{Life: 1000 * time.Hour})
	doors := &memoryDoors{open: map[string]*memoryDoor{}}
	r.spoil = func(e *environment, _ *http.Transport) {
		r.mu.Lock()
		defer r.mu.Unlock()
		e.doors, e.logFile = doors, new(logFile)
		r.logs = append(r.logs, e.logFile)
		e.owner = func(path string) (string, error) { return fmt.Sprint(strings.HasSuffix(path, ".approval.json")), nil }
		if account := r.account; account != "" {
			e.approver = func() string { return account }
		}
	}
	t.Cleanup(func() {
		for _, l := range r.logs {
			if l.file != nil {
				_ = l.file.Close()
			}
		}
	})
	return r
}

// path is where the test keeps a file of the runbook.
func (r *reader) path(name string) string { return filepath.Join(r.dir, name) }

var runbookFiles = regexp.MustCompile(`^[\w-]+\.(csv|txt|json|log|journal)$`)

// arguments are the command's with its files and variables in place. Nobody is
// there to type the number, so that it is given.
func (r *reader) arguments(s *step) []string {
	r.t.Helper()
	args := slices.Clone(s.args)
	for i, arg := range args {
		arg = os.Expand(arg, func(name string) string {
			value := r.variables[name]
			if value == "" {
				r.t.Fatalf("%s: nobody knows $%s", s.line, name)
			}
			return value
		})
		if runbookFiles.MatchString(arg) {
			arg = r.path(arg)
		}
		args[i] = arg
	}
	if slices.Contains([]string{"run", "abort", "cancel"}, args[min(1, len(args)-1)]) && !slices.Contains(args, "--dry-run") && !slices.Contains(args, "--yes") {
		args = append(args, "--yes")
	}
	return args
}

// heed has happen what the notes say.
func (r *reader) heed(s *step, c story) (interrupted time.Duration) {
	r.t.Helper()
	if !s.beside {
		r.await()
	}
	r.actAs("")
	for _, note := range s.notes {
		what, when, _ := strings.Cut(note, " ")
		switch {
		case what == "after":
			d, err := parseDays(when)
			if err != nil {
				r.t.Fatal(err)
			}
			r.pass(d)
		case what == "at":
			r.pass(time.Until(nextTime(r.t, when)))
		case strings.HasPrefix(note, "Ctrl-C after "):
			d, err := time.ParseDuration(strings.TrimPrefix(note, "Ctrl-C after "))
			if err != nil {
				r.t.Fatal(err)
			}
			interrupted = d
		case note == "by another account":
			r.actAs("second@desk")
		case note == "repaired":
			c.repair(r)
		case note != "meanwhile":
			r.t.Fatalf("%s: nobody knows what %q means", s.line, note)
		}
	}
	return interrupted
}

// pass lets time pass. The devices that are on report.
func (r *reader) pass(d time.Duration) {
	<-time.After(d)
	r.report(nil)
}

func (r *reader) actAs(account string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.account = account
}

// nextTime is the next moment at which a zone's clocks show a day and time, as
// "Fri 22:05 Europe/Oslo".
func nextTime(t *testing.T, when string) time.Time {
	t.Helper()
	fields := strings.Fields(when)
	zone, err := time.LoadLocation(fields[len(fields)-1])
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().In(zone).Truncate(time.Minute)
	for range 7 * 24 * 60 {
		if at = at.Add(time.Minute); at.Format("Mon 15:04") == fields[0]+" "+fields[1] {
			return at
		}
	}
	t.Fatalf("there is no %q", when)
	return at
}

// await waits for the command that is under way.
func (r *reader) await() {
	r.t.Helper()
	if r.under != nil {
		r.check(r.step, <-r.under)
		r.under = nil
	}
}

var planSum = regexp.MustCompile(`SHA-256 +([0-9a-f]{64})`)

func (r *reader) check(s *step, e finished) {
	r.t.Helper()
	r.t.Logf("$ %s\n%s%s", s.line, e.stdout, e.stderr)
	if e.code != s.want {
		r.t.Fatalf("%s: exit code %d, not %d", s.line, e.code, s.want)
	}
	if m := planSum.FindStringSubmatch(e.stdout); m != nil {
		r.variables["PLAN_SHA256"] = m[1]
	}
}

// do carries one step out.
func (r *reader) do(s *step, c story) {
	r.t.Helper()
	interrupted := r.heed(s, c)
	args := r.arguments(s)
	if args[0] == "mv" {
		if err := os.Rename(args[1], args[2]); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	if args[0] != "offboard" {
		r.t.Fatalf("nobody checks %q", s.line)
	}
	ctx, stop := context.WithCancelCause(r.t.Context())
	if interrupted > 0 {
		time.AfterFunc(interrupted, func() { stop(interruption{os.Interrupt}) })
	}
	done := make(chan finished, 1)
	go func() {
		var e finished
		e.code, e.stdout, e.stderr = r.run(ctx, args[1:]...)
		stop(nil)
		done <- e
	}()
	if s.behind {
		r.under, r.step = done, s
		<-time.After(time.Second) // it has begun
		return
	}
	r.check(s, <-done)
}

// TestRunbook does what docs/runbook.md says, command by command, with the time
// passing that passes between them: each of its parts on a tenant that is in the
// state that the part is for. Every command ends with the code that is noted.
func TestRunbook(t *testing.T) {
	t.Parallel()
	parts, commands := readRunbook(t), 0
	for heading, steps := range parts {
		commands += len(steps)
		if _, ok := stories[heading]; !ok {
			t.Errorf("nobody does what %q says", heading)
		}
	}
	if listed := len(runbookCommands(t)); commands != listed || commands < 40 {
		t.Errorf("%d commands are done, and %d are listed", commands, listed)
	}
	for _, heading := range slices.Sorted(maps.Keys(stories)) {
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { stories[heading].tell(t, parts[heading]) })
		})
	}
}

func (c story) tell(t *testing.T, steps []*step) {
	t.Helper()
	if len(steps) == 0 {
		t.Fatal("there are no commands")
	}
	r := newReader(t, c.tenant)
	defer r.close()
	c.prepare(r)
	for _, s := range steps {
		r.do(s, c)
	}
	r.await()
	if c.end != nil {
		c.end(r)
	}
	calls := r.sim.Truth().Calls[simulator.ClassOffboard]
	if calls.PeakMinute > 100 || calls.PeakHour > 1500 {
		t.Errorf("the server saw %d calls in a minute, %d in an hour", calls.PeakMinute, calls.PeakHour)
	}
}
