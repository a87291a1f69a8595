package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// usage is what a process cost.
type usage struct {
	wall, user, system time.Duration
	resident           int64   // the most memory it had, mapped files included, in bytes; 0 where the system does not tell
	anonymous          []int64 // its memory without mapped files, over time
	stdout             string
}

// peak is the most anonymous memory of the process.
func (u usage) peak() (most int64) {
	for _, n := range u.anonymous {
		most = max(most, n)
	}
	return most
}

func (u usage) String() string {
	return fmt.Sprintf("%.3g s wall, %.3g s user, %.3g s system, %d MB resident", u.wall.Seconds(), u.user.Seconds(), u.system.Seconds(), u.resident>>20)
}

// measureProcess runs a command to its end. Any of the exit codes is fine.
func measureProcess(ctx context.Context, env []string, fine []int, path string, args ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the harness names its own programs
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	var u usage
	watched, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		u.watch(cmd.Process.Pid, ended)
	}()
	err := cmd.Wait()
	u.wall = time.Since(began)
	close(ended)
	<-watched
	u.user, u.system, u.stdout = cmd.ProcessState.UserTime(), cmd.ProcessState.SystemTime(), stdout.String()
	for _, code := range fine {
		if cmd.ProcessState.ExitCode() == code {
			return u, nil
		}
	}
	return u, fmt.Errorf("%s %v: %w: %s", path, args, err, last(stderr.String(), 2000))
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// watch looks at a process's memory until it has ended.
func (u *usage) watch(pid int, ended <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		// Linux only; elsewhere there is no such file and nothing is known.
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil {
			u.resident = max(u.resident, field(status, "VmHWM:"))
			if n := field(status, "RssAnon:"); n > 0 {
				u.anonymous = append(u.anonymous, n)
			}
		}
		select {
		case <-ended:
			return
		case <-tick.C:
		}
	}
}

// field returns a size of a process's status in bytes.
func field(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, name); found {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}
