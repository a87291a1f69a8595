package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"offboard/internal/failpoint"
)

// tidy removes the binaries that the tests have built.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer func() {
		if dir, err := binaries(); err == nil {
			_ = os.RemoveAll(dir)
		}
	}()
	return m.M.Run()
}

var (
	// binaries is the directory of what the tests have built.
	binaries = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "offboard-test-") })
	// shipped is the command as it is shipped.
	shipped = sync.OnceValues(func() (string, error) { return build("offboard.exe") })
	// armed is the command with its failpoints.
	armed = sync.OnceValues(func() (string, error) { return build("armed.exe", "-tags", "failpoint") })
)

func build(name string, flags ...string) (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if out, err := exec.Command("go", append(append([]string{"build"}, flags...), "-o", path, ".")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
}

// binary returns the path of a binary, which is built once in a test run.
func binary(t *testing.T, built func() (string, error)) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestShippedWithoutFailpoints: not a name of them is in what is shipped, and the
// search for them finds them where they are.
func TestShippedWithoutFailpoints(t *testing.T) {
	t.Parallel()
	traces := []string{"OFFBOARD_FAILPOINT", "internal/failpoint"}
	for _, p := range failpoint.All() {
		traces = append(traces, string(p))
	}
	for built, want := range map[string]bool{binary(t, shipped): false, binary(t, armed): true} {
		code, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range traces {
			if bytes.Contains(code, []byte(trace)) != want {
				t.Errorf("%q in %s: %t; want %t", trace, filepath.Base(built), !want, want)
			}
		}
	}
}
