package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/internal/proof"
	"offboard/internal/simulator"
)

// canaries are secrets by what they are, to be found nowhere.
type canaries map[string]string

// disguised returns the forms in which a secret would still be one.
func disguised(secret string) map[string]string {
	forms := map[string]string{
		"as it is": secret, "in a query": url.QueryEscape(secret), "in a path": url.PathEscape(secret),
		"in hexadecimal": hex.EncodeToString([]byte(secret)), "in HEXADECIMAL": strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	for name, e := range map[string]*base64.Encoding{"in base64": base64.RawStdEncoding, "in base64url": base64.RawURLEncoding} {
		// In the middle of a longer text, at each of the three offsets; the first
		// and the last digit mix with what surrounds the secret.
		for offset := range 3 {
			text := e.EncodeToString([]byte(strings.Repeat("?", offset) + secret))
			forms[name+" after "+strconv.Itoa(offset)] = text[offset+1 : len(text)-1]
		}
	}
	return forms
}

// unescaped takes out what quotes and JSON put before characters or in their place.
var unescaped = strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">", `\`, "")

// sightings names the secrets in what was written, and how they were disguised.
func (c canaries) sightings(written map[string][]byte) (found []string) {
	texts := map[string]string{}
	for where, data := range written {
		texts[where] = unescaped.Replace(string(data))
	}
	for what, secret := range c {
		for form, disguise := range disguised(secret) {
			disguise = unescaped.Replace(disguise)
			for where, text := range texts {
				if strings.Contains(text, disguise) {
					found = append(found, what+" "+form+" in "+where)
				}
			}
		}
	}
	return found
}

// leakCase is one way to sign in, and what is said back to it.
type leakCase struct {
	name   string
	signIn credentials
	voice  voice
	log    string // console, json, or file
}

// run carries a campaign out against a tenant that repeats what it is told, looks
// at everything afterwards, and returns all that was written.
func (c leakCase) run(t *testing.T) (secrets canaries, written map[string][]byte, said int) {
	t.Helper()
	v := newVirtualTenant(t, simulator.Config{Machines: 6, Seed: 1, ClientSecret: tenantSecret, Latency: 100 * time.Millisecond, SettleAfter: -1, AcceptDuplicates: true})
	v.close()
	tap := &wiretap{next: v.sim, voice: c.voice, secrets: canaries{}}
	v.pipe = simulator.NewPipe(tap)
	defer v.close()
	delete(v.env, "OFFBOARD_TOKEN")
	v.env["OFFBOARD_AUTH"] = "auto"
	v.logTo(c.log)
	c.signIn.give(t, v, tap)
	v.env["OFFBOARD_NOTIFY_URL"], v.env["OFFBOARD_NOTIFY_SECRET"] = "https://"+noticeHost+noticeLink, noticeSecret
	tap.tell("the secret of the notifications", noticeSecret)
	if err := writeFile(v.list, func(w io.Writer) error {
		_, err := io.WriteString(w, v.text()+"nonsense,\x1b[31mname\n")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	written = map[string][]byte{}
	work := []string{"--workers", "2", "--settle-wait", "2s", "--retry-for", "5s", "--timeout", "5s"}
	for _, args := range [][]string{
		append([]string{"run", v.list, "--comment", "why", "--yes", "--on-bad-row", "skip", "--rejects", filepath.Join(v.dir, "rejects.csv")}, work...),
		append([]string{"resume", "--output", "json"}, work...),
		{"run", v.list, "--comment", "why", "--dry-run", "--on-bad-row", "skip"},
		{"follow", "--for", "0", "--retry-for", "5s"}, {"verify", "--retry-for", "5s"},
		{"cancel", "--reason", "wrong list", "--yes", "--retry-for", "5s"}, {"abort", "--reason", "wrong list", "--yes", "--verbose", "--retry-for", "5s"},
		{"status", "--verbose"}, {"status", "--output", "json"}, {"journal", "check"}, {"journal", "export"}, {"doctor"}, {"config", "show"},
		{"report", "--format", "html"}, {"report", "--format", "json"}, {"report", "--format", "csv"}, {"report"}, {"report", "--only", "rejected,in_doubt,accepted"},
		{"doctor", "--notify"},
		{"journal", "recover", v.journal(), filepath.Join(v.dir, "recovered")},
	} {
		tap.listen()
		v.into(t.Context(), tap, written, args)
	}
	v.collect(written)
	secrets, said = tap.heard()
	written["the notifications"] = tap.posted
	if len(tap.posted) == 0 && c.voice.through == nil && tap.proxyURL == nil {
		t.Errorf("%s: nobody was notified", c.name)
	}
	return secrets, written, said
}

// logTo has everything logged.
func (v *virtualTenant) logTo(form string) {
	v.env["OFFBOARD_LOG_LEVEL"], v.env["OFFBOARD_LOG_FORMAT"] = "trace", form
	if form == "file" {
		v.env["OFFBOARD_LOG_FORMAT"], v.env["OFFBOARD_LOG_FILE"] = "console", filepath.Join(v.dir, "log")
	}
}

// journal is where the journal is, or would be.
func (v *virtualTenant) journal() string {
	u, err := url.Parse(v.env["OFFBOARD_API_URL"])
	if err != nil {
		v.t.Fatal(err)
	}
	return filepath.Join(v.env["OFFBOARD_STATE_DIR"], v.env["AZURE_TENANT_ID"]+"-"+u.Hostname()+".journal")
}

// text is the list of the tenant's machines.
func (v *virtualTenant) text() string {
	var b strings.Builder
	if err := v.sim.WriteList(&b, 0); err != nil {
		v.t.Fatal(err)
	}
	return b.String()
}

// into runs a command and keeps what it says.
func (v *virtualTenant) into(ctx context.Context, tap *wiretap, written map[string][]byte, args []string) {
	transport := &http.Transport{DialContext: v.pipe.DialContext, DialTLSContext: v.pipe.DialContext, Proxy: tap.proxy}
	defer transport.CloseIdleConnections()
	var stdout, stderr bytes.Buffer
	var log logFile
	run(ctx, args, environment{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv:    func(name string) string { return v.env[name] },
		transport: tap.around(transport), logFile: &log,
	})
	if log.file != nil {
		_ = log.file.Close()
	}
	command := args[0]
	if command == "journal" {
		command += " " + args[1]
	}
	written["stdout of "+command] = append(written["stdout of "+command], stdout.Bytes()...)
	written["stderr of "+command] = append(written["stderr of "+command], stderr.Bytes()...)
}

// collect reads every file that the commands have left, and the names of all.
func (v *virtualTenant) collect(written map[string][]byte) {
	err := filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == v.list {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(v.dir, path)
		written[name] = data
		written["the names of files"] = append(written["the names of files"], name+"\n"...)
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

// TestNoSecretLeaves: whatever a tenant, a proxy or a broken connection repeats of
// what they were told, none of it is in the output at the finest level, in
// the journal, the ledgers, the rejects, an export, or the names of files.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	row := proof.Row{Promise: proof.NoSecretLeaves, Harness: "canaries"}
	for _, c := range leakCases() {
		var secrets canaries
		var written map[string][]byte
		var said int
		synctest.Test(t, func(t *testing.T) { secrets, written, said = c.run(t) })
		row.Cases += len(secrets)
		row.Faults += said
		if found := secrets.sightings(written); len(found) > 0 {
			row.Violations++
			t.Errorf("%s:\n%s", c.name, strings.Join(found, "\n"))
		}
		if said == 0 && !c.signIn.wrong || len(secrets) == 0 || len(written["rejects.csv"]) == 0 {
			t.Errorf("%s: said %d things of %d secrets: %.500s", c.name, said, len(secrets), written["stderr of run"])
		}
	}
	row.Controls, row.Caught = leakControls(t)
	proof.Report(t, row)
}

// TestNoSecretIsAFlag: every process of the host can read arguments, and shells
// remember them.
func TestNoSecretIsAFlag(t *testing.T) {
	t.Parallel()
	a := &app{env: environment{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}}
	secret, checked := regexp.MustCompile(`secret|token|password|key`), 0
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if checked++; secret.MatchString(f.Name) {
				t.Errorf("%s --%s", c.CommandPath(), f.Name)
			}
		})
		for _, child := range c.Commands() {
			check(child)
		}
	}
	check(a.rootCommand())
	if checked < 50 {
		t.Errorf("only %d flags were found", checked)
	}
}

// leakControls are leaks that must be found: in each disguise from a log line of
// either form, and in each sink.
func leakControls(t *testing.T) (controls, caught int) {
	t.Helper()
	const secret = "canary/5f2c9e \"quoted\" & secret"
	look := func(where string, written []byte, what string) {
		t.Helper()
		controls++
		if len((canaries{"it": what}).sightings(map[string][]byte{where: written})) > 0 {
			caught++
		} else {
			t.Errorf("%q was not found in %s: %.300q", what, where, written)
		}
	}
	for form, text := range disguised(secret) {
		for _, format := range []string{"json", "console"} {
			var leak bytes.Buffer
			log := newLogger(environment{stderr: &leak, getenv: func(string) string { return "" }}, format, zerolog.TraceLevel)
			log.Trace().Msg("got " + text)
			look(form+" in a log line", leak.Bytes(), secret)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		// A secret that nobody has told the tool to keep, and what is none.
		c := leakCase{signIn: readyToken, log: "json", voice: voice{applies: isOrder, say: func(w http.ResponseWriter, _ string) {
			respond(w, http.StatusBadRequest, envelope("E", secret))
		}}}
		_, written, _ := c.run(t)
		for _, where := range []string{"stderr of run", "stdout of status", "stdout of journal export", "stdout of report", "recovered", "state/" + simulator.DefaultTenantID + "-127.0.0.1.journal"} {
			look(where, written[where], secret)
		}
		c.log = "file"
		_, filed, _ := c.run(t)
		look("log file", filed["log"], secret)
		look("doctor", written["stdout of doctor"], simulator.DefaultClientID)
		look("rejects", written["rejects.csv"], "nonsense")
		look("notifications", written["the notifications"], simulator.DefaultTenantID)
		look("names", written["the names of files"], simulator.DefaultTenantID)
	})
	return controls, caught
}
