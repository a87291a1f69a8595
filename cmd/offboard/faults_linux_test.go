package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// terminal is a pseudo-terminal: what a person looks at, and what a program has.
type terminal struct{ person, program *os.File }

func newTerminal(t *testing.T) terminal {
	t.Helper()
	return terminalFor(t, io.Discard)
}

// terminalFor is one whose person is w.
func terminalFor(t *testing.T, w io.Writer) terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	var number, unlocked int32
	ioctl(t, person, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	ioctl(t, person, syscall.TIOCGPTN, unsafe.Pointer(&number))
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	go func() { _, _ = io.Copy(w, person) }() // a full terminal would hold the program up
	return terminal{person, program}
}

func ioctl(t *testing.T, f *os.File, request uintptr, arg unsafe.Pointer) {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number syscall.Errno
	err = conn.Control(func(fd uintptr) { _, _, number = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(arg)) })
	if err != nil || number != 0 {
		t.Fatalf("ioctl %#x: %v, %v", request, number, err)
	}
}

// TestClosedTerminal: the terminal goes away in the middle of a campaign.
func TestClosedTerminal(t *testing.T) {
	t.Parallel()
	const machines = 12
	t.Run("of the session", func(t *testing.T) {
		t.Parallel()
		r, seen := tenantSeen(t, quick(machines), 5)
		tty := newTerminal(t)
		cmd := r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", tenAMinute, "--log-level", "debug")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty.program, tty.program, tty.program
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-seen
		_ = tty.person.Close()
		// That the result could not be written is the graver of the two.
		if code := exitOf(t, cmd.Wait()); code != exitUnexpected {
			t.Errorf("exit code %d", code)
		}
		r.stoppedInOrder(machines)
	})
	t.Run("of the log only", func(t *testing.T) {
		t.Parallel()
		held := holdingAt(quick(machines), 5)
		r := newRealTenant(t, held.Config)
		tty := newTerminal(t)
		cmd := r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", unlimited, "--log-level", "debug")
		cmd.Stderr = tty.program
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-held.reached
		_ = tty.person.Close()
		close(held.goOn)
		if code := exitOf(t, cmd.Wait()); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		if counts := r.counts(); counts["accepted"] != machines {
			t.Errorf("the journal has %v", counts)
		}
		r.offboardedOnce(machines)
	})
}

// TestSmallDisk: a real file system runs full in the middle of a campaign, is then
// read-only, and then has room again.
func TestSmallDisk(t *testing.T) {
	t.Parallel()
	const machines = 300
	r := newRealTenant(t, quick(machines))
	// A file system of one's own needs no privileges where user namespaces are
	// allowed. It lives as long as the shell.
	const script = `
mount -t tmpfs -o size=$SIZE none "$OFFBOARD_STATE_DIR" || exit 99
"$@"; echo "full: $?"
mount -o remount,ro "$OFFBOARD_STATE_DIR" || exit 99
"$@"; echo "read-only: $?"
mount -o remount,rw,size=64m "$OFFBOARD_STATE_DIR" || exit 99
"$@"; echo "room: $?"`
	cmd := r.command(t.Context(), "run", r.list, "--comment", "why", "--yes", unlimited, "--settle-wait", "30s")
	shell := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh", cmd.Path}, cmd.Args[1:]...)...)
	shell.Env = slices.Concat(cmd.Env, []string{"SIZE=400k", "OFFBOARD_STATE_DIR=" + t.TempDir()})
	shell.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var said bytes.Buffer
	shell.Stdout, shell.Stderr = &said, &said
	if err := shell.Run(); err != nil && !strings.Contains(said.String(), "full:") {
		t.Skipf("this host lets nobody mount a file system (TestNamedFaults has the same with a disk in memory): %v %s", err, &said)
	}
	for _, want := range []string{"full: 1\n", "no space left on device", "read-only: 1\n", "read-only file system", "room: 0\n"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &said)
		}
	}
	r.offboardedOnce(machines)
}
