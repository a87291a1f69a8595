package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// silent is a network on which nobody answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestInterruptedDuringSignIn: whatever a command waits for, its exit code tells
// which signal ended it.
func TestInterruptedDuringSignIn(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "list.txt")
	if err := writeFile(list, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("a", 40)+"\n")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", list, "--comment", "why", "--yes"}, {"doctor"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			env := map[string]string{
				"AZURE_TENANT_ID": "5a1e7c3d-0f42-4b8e-9d61-2c7b3f80a914", "AZURE_CLIENT_ID": "c9d2b6f0-71a3-4e55-8b0c-64e1f7a2d38b",
				"AZURE_CLIENT_SECRET": "canary-secret", "OFFBOARD_STATE_DIR": t.TempDir(),
			}
			var stderr strings.Builder
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(interruption{syscall.SIGTERM}) })
			code := run(ctx, args, environment{
				stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr,
				getenv: func(name string) string { return env[name] }, transport: silent{},
			})
			if code != exitTerminated || strings.Contains(stderr.String(), "canary-secret") {
				t.Errorf("exit code %d: %s", code, &stderr)
			}
		})
	}
}
