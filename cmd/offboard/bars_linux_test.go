package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// winsize is what the kernel keeps of a terminal.
type winsize struct{ rows, columns, x, y uint16 }

func (tty terminal) resize(t *testing.T, columns int) {
	t.Helper()
	size := winsize{rows: 24, columns: uint16(columns)}
	ioctl(t, tty.program, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

// onTerminal starts the binary with a terminal to log to, 80 columns wide, that a
// viewer looks at, and on which its result is printed too.
func (r *realTenant) onTerminal(args ...string) (*exec.Cmd, terminal, *viewer) {
	r.t.Helper()
	see := newViewer(r.t, 80, 24)
	tty := terminalFor(r.t, see)
	tty.resize(r.t, 80)
	cmd := r.command(r.t.Context(), args...)
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=1")
	cmd.Stdout, cmd.Stderr = tty.program, tty.program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return cmd, tty, see
}

// barred says that a text ends with bars, and that there is one of each.
func barred(text string) bool {
	return strings.Count(text, "\ncampaign ") == 1 && strings.Count(text, "\nminute ") == 1 && strings.Count(text, "\nhour ") == 1
}

// TestBarsOnARealTerminal becomes narrow in the middle of a campaign, is suspended
// and goes on, and shows the result without a trace of the bars.
func TestBarsOnARealTerminal(t *testing.T) {
	t.Parallel()
	const machines = 10
	held := holdingAt(quick(machines), 5)
	r := newRealTenant(t, held.Config)
	cmd, tty, see := r.onTerminal("run", r.list, "--comment", "why", "--yes", unlimited, "--workers", "1")
	<-held.reached
	see.await(func(text string) bool { return barred(text) && strings.Contains(text, "40% 4 of 10 sent") })
	see.resize(40)
	tty.resize(t, 40)
	see.await(func(text string) bool {
		_, bars, _ := strings.Cut(text, "\ncampaign ")
		for row := range strings.SplitSeq(bars, "\n") {
			if len([]rune(row)) >= 40 {
				return false
			}
		}
		return barred(text)
	})
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stands(t, cmd.Process.Pid)
	if _, err := io.WriteString(tty.program, "$ fg\n"); err != nil { // what a shell would show
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	see.await(func(text string) bool {
		_, below, found := strings.Cut(text, "$ fg\n")
		return found && barred("\n"+below)
	})
	close(held.goOn)
	if code := exitOf(t, cmd.Wait()); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	text := see.await(func(text string) bool { return strings.Contains(text, "Log: ") })
	_, after, _ := strings.Cut(text, "$ fg\n")
	if strings.Contains(after, "campaign [") || strings.Contains(after, "\nminute ") || !strings.Contains(after, "10 accepted by the service") {
		t.Errorf("%s", text)
	}
	r.offboardedOnce(machines)
}

// stands returns once a process that was told to stand still does.
func stands(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(60 * time.Second); ; {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || bytes.Contains(stat, []byte(") T ")) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it goes on")
		}
	}
}

// TestBarsInterrupted: the bars are gone before the command that goes on is printed.
func TestBarsInterrupted(t *testing.T) {
	t.Parallel()
	r, seen := tenantSeen(t, quick(12), 5)
	cmd, _, see := r.onTerminal("run", r.list, "--comment", "why", "--yes", tenAMinute)
	<-seen
	see.await(barred)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := exitOf(t, cmd.Wait()); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	text := see.await(func(text string) bool { return strings.Contains(text, "exit_code=130") })
	if strings.Contains(text, "\nminute ") || !strings.Contains(text, "\nTo resume: offboard resume ") {
		t.Errorf("%s", text)
	}
	r.stoppedInOrder(12)
}

// TestWidthOfTheRealTerminal: a machine's line is never wider than the terminal, and
// nothing of it is left out.
func TestWidthOfTheRealTerminal(t *testing.T) {
	t.Parallel()
	r := newRealTenant(t, quick(3))
	gone := r.sim.Machines()[1]
	r.sim.RemoveMachine(gone.ID)
	if code, stderr := r.run(t.Context(), "run", r.list, "--comment", strings.Repeat("long ", 40), "--yes", unlimited); code != int(exitRejected) {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, args := range [][]string{{"status", "--verbose"}, {"campaigns"}} {
		var plain bytes.Buffer
		cmd := r.command(t.Context(), args...)
		cmd.Stdout = &plain
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		cmd, _, see := r.onTerminal(args...)
		if code := exitOf(t, cmd.Wait()); code != exitOK {
			t.Errorf("%q: exit code %d", args, code)
		}
		text := see.await(func(text string) bool {
			return strings.HasSuffix(text, "\n") && strings.Count(text, "\n") >= strings.Count(plain.String(), "\n")
		})
		table, _, _ := strings.Cut(text, "\nCampaign ")
		for row := range strings.SplitSeq(table, "\n") {
			if len([]rune(row)) > 80 {
				t.Errorf("%q: %d columns: %s", args, len([]rune(row)), row)
			}
		}
		if args[0] == "status" && (!strings.HasPrefix(text, gone.ID+"\n    ") || !strings.Contains(text, "ResourceNotFound")) {
			t.Errorf("%s", text)
		}
	}
}
