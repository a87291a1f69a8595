package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// What all tests share.
var (
	command string          // the built binary
	axe     string          // source of axe-core
	browser context.Context // one Chromium
)

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "offboard-page-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	command = filepath.Join(dir, "offboard")
	build := exec.Command("go", "build", "-o", command, "./cmd/offboard")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	source, err := os.ReadFile(os.Getenv("OFFBOARD_AXE"))
	if err != nil {
		return 0, fmt.Errorf("OFFBOARD_AXE has to name axe-core's axe.min.js; 'make test-browser' fetches it: %w", err)
	}
	axe = string(source)
	path, err := chromium()
	if err != nil {
		return 0, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("lang", "en"), chromedp.Flag("force-color-profile", "srgb"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	defer free()
	var stop context.CancelFunc
	browser, stop = chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Do(browser); err != nil {
		return 0, fmt.Errorf("start %s: %w", path, err)
	}
	return m.Run(), nil
}

func chromium() (string, error) {
	if path := os.Getenv("OFFBOARD_TEST_BROWSER"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium was found; install it, or name one in OFFBOARD_TEST_BROWSER")
}
