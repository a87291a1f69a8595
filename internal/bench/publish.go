package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"offboard/internal/ratio"
)

// The table stands between these lines of the document; everything else in it is
// written by hand.
const (
	beginMark = "<!-- the table: written by make bench -->\n"
	endMark   = "<!-- the end of the table -->\n"
)

// publish prints the table and puts it into the document.
func (b *bench) publish(document string, stdout io.Writer, took time.Duration) error {
	rows, err := ratio.Read(b.rows)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Measured by `make bench` in %s: %s, %s, %d processors%s, %s. Medians of %d turns.\n\n%s",
		took.Round(time.Second), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor(), runtime.Version(), b.turns, ratio.Header)
	for _, r := range rows {
		fmt.Fprintln(&text, r)
	}
	if _, err := io.WriteString(stdout, text.String()); err != nil {
		return err
	}
	old, err := os.ReadFile(document) //nolint:gosec // the path is the caller's choice
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(old), beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return fmt.Errorf("%s has no place for the table", document)
	}
	return os.WriteFile(document, []byte(before+beginMark+"\n"+text.String()+"\n"+endMark+after), 0o644) //nolint:gosec // a document
}

// processor names the processor and the kernel where Linux tells.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	name := ""
	for line := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			name = " (" + strings.TrimSpace(value) + ")"
			break
		}
	}
	if release, err := exec.Command("uname", "-r").Output(); err == nil { //nolint:noctx // ends at once
		name += ", kernel " + strings.TrimSpace(string(release))
	}
	return name
}
