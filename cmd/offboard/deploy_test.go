package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"offboard/internal/simulator"
)

// deployed is a command line as a file in deploy has it, with what that file
// sets in its environment.
type deployed struct {
	file string
	args []string // without the program
	env  map[string]string
}

func deployFile(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "deploy"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var setting = regexp.MustCompile(`(?m)^(?:Environment=)?((?:OFFBOARD|AZURE)_[A-Z_]+)=("?)(.*?)"?$`)

// settingsIn reads the assignments of an environment file, a unit or a crontab.
func settingsIn(text string) map[string]string {
	env := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(text, -1) {
		env[m[1]] = m[3]
	}
	return env
}

// linesOf returns a command for each match of the pattern's group in the file.
func linesOf(t *testing.T, pattern string, env map[string]string, path ...string) (all []deployed) {
	t.Helper()
	text := deployFile(t, path...)
	own := settingsIn(text)
	maps.Copy(own, env)
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, deployed{filepath.Join(path...), words(m[1]), own})
	}
	return all
}

// deployedCommands finds the command lines of all files in deploy.
func deployedCommands(t *testing.T) []deployed {
	t.Helper()
	shared := settingsIn(deployFile(t, "offboard.env"))
	var all []deployed
	for _, unit := range []string{"offboard.service", "offboard-follow.service"} {
		all = append(all, linesOf(t, `(?m)^ExecStart=/usr/bin/offboard (.*)$`, shared, "systemd", unit)...)
	}
	all = append(all, linesOf(t, `(?m)^[*0-9 ]+ offboard .*exec offboard (.*)$`, shared, "cron", "offboard")...)
	for _, d := range linesOf(t, "(?m)^\\$\\w+ = \"((?:run|follow) .*)\"$", nil, "windows", "Register-Offboard.ps1") {
		all = append(all, d.asPowerShellSees())
	}
	pod := linesOf(t, `args: \[(.*)\]`, nil, "kubernetes", "offboard.yaml")
	for _, d := range pod {
		d.args = strings.Split(strings.Join(d.args, " "), ", ")
		for _, m := range regexp.MustCompile(`\{name: (\w+), value: "?(.*?)"?\}`).FindAllStringSubmatch(deployFile(t, "kubernetes", "offboard.yaml"), -1) {
			d.env[m[1]] = m[2]
		}
		all = append(all, d)
	}
	return all
}

// asPowerShellSees puts the script's defaults in the place of its variables.
func (d deployed) asPowerShellSees() deployed {
	line := strings.ReplaceAll(strings.Join(d.args, " "), "`", "")
	for name, value := range map[string]string{
		"$List": "/etc/offboard/retired.csv", "$Campaign": "retired", "$Comment": "by-schedule", "$Max": "500",
		"$journal": "/var/lib/offboard/offboard.journal", "$log": "/var/lib/offboard/offboard.log",
	} {
		line = strings.ReplaceAll(line, name, value)
	}
	return deployed{d.file, words(line), d.env}
}

// TestDeployedFlags: whatever a file in deploy gives to a command, on its line or
// in its environment, that command knows and takes.
func TestDeployedFlags(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, d := range deployedCommands(t) {
		root := commandTree()
		cmd, rest, err := root.Find(d.args)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil && cmd.Args != nil {
			err = cmd.Args(cmd, cmd.Flags().Args())
		}
		if err != nil || cmd == root {
			t.Errorf("%s: %q: %v", d.file, d.args, err)
			continue
		}
		if err := flagsFromEnvironment(cmd.Flags(), func(name string) string { return d.env[name] }); err != nil {
			t.Errorf("%s: %v", d.file, err)
		}
		found[filepath.Dir(d.file)]++
	}
	if want := map[string]int{"systemd": 2, "cron": 2, "windows": 2, "kubernetes": 1}; !maps.Equal(found, want) {
		t.Errorf("found %v; want %v", found, want)
	}
}

// TestDeployedSettings: every variable that is set somewhere in deploy is one that
// offboard reads.
func TestDeployedSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"OFFBOARD_STATE_DIR": true, "AZURE_TENANT_ID": true, "AZURE_CLIENT_ID": true, "AZURE_CLIENT_CERTIFICATE_PATH": true,
		"OFFBOARD_NOTIFY_URL_FILE": true,
	}
	run, _, err := commandTree().Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range []*pflag.FlagSet{run.LocalFlags(), run.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) { known[environmentName(f.Name)] = !personal(f.Name) })
	}
	name, seen := regexp.MustCompile(`\b(?:OFFBOARD|AZURE)_[A-Z_]*[A-Z]\b`), 0
	err = filepath.WalkDir(filepath.Join("..", "..", "deploy"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, variable := range name.FindAllString(string(text), -1) {
			if seen++; !known[variable] && variable != "OFFBOARD_" {
				t.Errorf("%s: nothing reads %s", path, variable)
			}
		}
		return err
	})
	if err != nil || seen < 15 {
		t.Errorf("%d variables, %v", seen, err)
	}
}

// TestDeployedRuns: the scheduled commands do what they are for, one night and
// the next: the run offboards the list, and when it finds nothing to do it ends
// with 0 again.
func TestDeployedRuns(t *testing.T) {
	t.Parallel()
	for name, all := range byDirectory(deployedCommands(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRealTenant(t, simulator.Config{Machines: 5, Seed: 1, SettleAfter: time.Millisecond})
			dir := t.TempDir()
			if err := writeFile(filepath.Join(dir, "retired.csv"), func(w io.Writer) error { return r.sim.WriteList(w, 0) }); err != nil {
				t.Fatal(err)
			}
			for night := range 2 {
				for _, d := range all {
					cmd := r.command(t.Context(), d.on(dir)...)
					for name, value := range d.env {
						if name == "OFFBOARD_METRICS_LISTEN" {
							value = "127.0.0.1:0" // whatever else runs here
						}
						if strings.HasPrefix(name, "OFFBOARD_") && name != "OFFBOARD_STATE_DIR" {
							cmd.Env = append(cmd.Env, name+"="+strings.ReplaceAll(value, "/var/lib/offboard", dir))
						}
					}
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("night %d: %s: %q: %v\n%s", night, d.file, d.args, err, out)
					}
				}
			}
			if n, effects := r.sim.Effects(); n != 5 || effects != 5 {
				t.Errorf("%d machines were offboarded by %d actions; want 5", n, effects)
			}
		})
	}
}

func byDirectory(all []deployed) map[string][]deployed {
	by := map[string][]deployed{}
	for _, d := range all {
		by[filepath.Dir(d.file)] = append(by[filepath.Dir(d.file)], d)
	}
	return by
}

// on is the command line with the paths of this test.
func (d deployed) on(dir string) []string {
	args := slices.Clone(d.args)
	for i := range args {
		for _, place := range []string{"/etc/offboard", "/var/lib/offboard", "/list"} {
			args[i] = strings.ReplaceAll(args[i], place, dir)
		}
	}
	return args
}

// TestCrontabIsShell: the lines of the crontab are what its shell takes, and the
// environment file is what they source.
func TestCrontabIsShell(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no shell")
	}
	dir := t.TempDir()
	env := filepath.Join(dir, "offboard.env")
	if err := os.WriteFile(env, []byte(deployFile(t, "offboard.env")), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^[*0-9 ]+ offboard (.*)$`).FindAllStringSubmatch(deployFile(t, "cron", "offboard"), -1)
	for _, m := range lines {
		line := strings.Replace(m[1], "/etc/offboard/offboard.env", env, 1)
		line = strings.Replace(line, "exec offboard ", `exec env echo "$OFFBOARD_COMMENT" `, 1)
		out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "retired by schedule ") || strings.Contains(line, "%") {
			t.Errorf("%s: %s %v", m[1], out, err)
		}
	}
	if len(lines) != 2 {
		t.Errorf("%d lines; want 2", len(lines))
	}
}

// TestSignHook: a release has each Windows binary signed in place if somebody has
// named what signs, and fails when that does.
func TestSignHook(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no shell")
	}
	config, err := os.ReadFile(filepath.Join("..", "..", ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	hook := regexp.MustCompile(`(?m)^ +- sh -c '(.*)'$`).FindSubmatch(config)
	if hook == nil {
		t.Fatal("no hook")
	}
	// The shell signs: what it is given is a script that adds to itself.
	const unsigned = `printf signed >> "$0"; exit`
	binary := filepath.Join(t.TempDir(), "offboard.exe")
	if err := os.WriteFile(binary, []byte(unsigned+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program, want string
		fails         bool
	}{{"", unsigned + "\n", false}, {"/bin/sh", unsigned + "\nsigned", false}, {binary + ".missing", unsigned + "\nsigned", true}} {
		cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(string(hook[1]), "{{ .Path }}", binary))
		cmd.Env = append(os.Environ(), "OFFBOARD_SIGN="+c.program)
		out, err := cmd.CombinedOutput()
		if got, _ := os.ReadFile(binary); (err != nil) != c.fails || string(got) != c.want {
			t.Errorf("%q: %q %v %s", c.program, got, err, out)
		}
	}
}

// TestContainer: the image holds nothing but the static binary, the authorities
// and an empty state directory, and runs as nobody.
func TestContainer(t *testing.T) {
	t.Parallel()
	text := deployFile(t, "container", "Dockerfile")
	_, image, ok := strings.Cut(text, "FROM scratch\n")
	if !ok {
		t.Fatal("not from scratch")
	}
	for _, want := range []string{"USER 65534:65534\n", "VOLUME /state\n", "ENV OFFBOARD_STATE_DIR=/state\n", `ENTRYPOINT ["/usr/bin/offboard"]`, "--chown=65534:65534 /out/state /state\n", "/etc/ssl/certs/ca-certificates.crt\n"} {
		if !strings.Contains(image, want) {
			t.Errorf("the image lacks %q", want)
		}
	}
	if strings.Contains(image, "\nRUN ") || !strings.Contains(text, "CGO_ENABLED=0 go build") {
		t.Error("scratch has no shell, and no libraries")
	}
	pod := deployFile(t, "kubernetes", "offboard.yaml")
	for _, want := range []string{"runAsUser: 65534", "mountPath: /state}", "readOnlyRootFilesystem: true", "concurrencyPolicy: Forbid"} {
		if !strings.Contains(pod, want) {
			t.Errorf("the pod lacks %q", want)
		}
	}
}

// TestWindowsScript: Windows PowerShell 5.1 reads a file without a byte order mark
// in the system's code page, and knows no operator of PowerShell 7.
func TestWindowsScript(t *testing.T) {
	t.Parallel()
	text := deployFile(t, "windows", "Register-Offboard.ps1")
	for i, r := range text {
		if r > 0x7e || r == '\t' {
			t.Fatalf("%q at byte %d", r, i)
		}
	}
	_, code, _ := strings.Cut(text, "#>")
	if m := regexp.MustCompile(`&&|\|\||\?\?|\?\.|\$IsWindows|-Parallel|\bclean \{|\? .+ : `).FindString(code); m != "" {
		t.Errorf("%q is not in 5.1", m)
	}
	if err := balanced(code); err != nil {
		t.Error(err)
	}
}

// balanced follows strings, comments and brackets of a script.
func balanced(code string) error {
	var open []rune
	closes := map[rune]rune{')': '(', '}': '{', ']': '['}
	quote, comment, escaped := rune(0), false, false
	for i, r := range code {
		switch {
		case escaped:
			escaped = false
		case r == '\n' && comment:
			comment = false
		case comment:
		case r == '`' && quote != '\'':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '#':
			comment = true
		case strings.ContainsRune("({[", r):
			open = append(open, r)
		case closes[r] != 0:
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				return fmt.Errorf("%q at byte %d closes nothing", r, i)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 || quote != 0 {
		return fmt.Errorf("left open: %q %q", string(open), quote)
	}
	return nil
}
