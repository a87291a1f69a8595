package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"offboard/internal/simulator"
)

// hostile is a text that sets a terminal's title, clears it, returns to the start
// of the line, begins another that looks like ours, and turns the direction.
const hostile = "x\x1b]0;owned\x07\x1b[2J\rok\u009b31m\u202egnp.exe\u2066\u2028\x7f\nFORGED line\ty\U000e0001"

// TestHostileText: whatever is in a list, an inventory, an answer or an argument,
// nothing that a terminal obeys is on stdout or stderr, and no line is begun by
// anybody but us.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"json", "console", "file"} {
		written := map[string][]byte{}
		synctest.Test(t, func(t *testing.T) { hostileCommands(t, form, written) })
		for where, data := range written {
			checkHarmless(t, form+" "+where, data)
			if strings.HasPrefix(where, "stderr") && form == "json" {
				checkJSONLines(t, where, data)
			}
		}
		for where, came := range map[string]string{
			"stdout of run": `x1b]0;owned`, "stderr of run": "matches 2 machines", "stdout of status": "rejected  20", "stdout of journal export": `u001b]0;owned`,
			"stderr of resolve": "FORGED", "stderr of doctor": "FORGED",
		} {
			if !bytes.Contains(written[where], []byte(came)) {
				t.Errorf("%s: %q is not in %s: %s", form, came, where, written[where])
			}
		}
	}
}

func checkHarmless(t *testing.T, where string, data []byte) {
	t.Helper()
	text := string(data)
	if i := strings.IndexFunc(text, obeyed); i >= 0 || !utf8.ValidString(text) {
		t.Errorf("%s: a terminal would obey %q", where, text[max(i-80, 0):min(len(text), i+20)])
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "FORGED") {
			t.Errorf("%s: a line is forged: %q", where, text)
		}
	}
}

func checkJSONLines(t *testing.T, where string, data []byte) {
	t.Helper()
	for line := range bytes.Lines(data) {
		if !json.Valid(line) {
			t.Errorf("%s: no JSON: %q", where, line)
		}
	}
}

// hostileCommands runs every command on hostile things.
func hostileCommands(t *testing.T, form string, written map[string][]byte) {
	t.Helper()
	v := newVirtualTenant(t, simulator.Config{Machines: 5, Seed: 1, Latency: 100 * time.Millisecond, SettleAfter: -1})
	v.close()
	tap := &wiretap{next: v.sim, secrets: canaries{}, voice: voice{applies: isOrder, say: func(w http.ResponseWriter, _ string) {
		respond(w, http.StatusBadRequest, envelope(hostile, hostile))
	}}}
	v.pipe = simulator.NewPipe(tap)
	defer v.close()
	v.logTo(form)
	twins := v.sim.Machines()[:2]
	for _, m := range twins {
		m.ComputerDNSName = hostile
		v.sim.AddMachine(m)
	}
	ids := v.sim.Machines()
	list := func(name, content string) string {
		path := filepath.Join(v.dir, name)
		if err := writeFile(path, func(w io.Writer) error { _, err := io.WriteString(w, content); return err }); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// In CSV a carriage return or a row within a cell is refused before anything is named.
	inline := strings.NewReplacer("\r", "", "\n", "").Replace(hostile)
	cell := `"` + inline + `"`
	row := func(id string) string {
		return fmt.Sprintf(`{"id":%s,"name":%[2]s,"comment":%[2]s,%[2]s:%[2]s}`, inJSON(id), inJSON(hostile))
	}
	good := list("good.json", "["+row(ids[0].ID)+","+row(ids[1].ID)+","+row(ids[2].ID)+"]")
	mixed := list("mixed.json", "["+row(hostile)+","+row(ids[3].ID)+"]")
	cells := list("cells.csv", "id,name,"+cell+"\n"+ids[4].ID+","+cell+","+cell+"\n")
	bad := list("bad.csv", "id,name\n"+cell+","+cell+"\n"+ids[0].ID+",a\n")
	names := list("names.json", fmt.Sprintf(`[{"name":%s},{"name":"nobody"},{"name":%s}]`, inJSON(hostile), inJSON(cell)))
	for _, args := range [][]string{
		{"run", good, "--dry-run", "--comment", hostile}, {"run", good, "--dry-run", "--output", "json"},
		{"run", good, "--yes", "--comment", hostile, "--campaign", "c", "--settle-wait", "2s"},
		{"run", good, "--yes", "--comment", "other", "--campaign", "c"},
		{"run", mixed, "--yes", "--comment", hostile, "--on-bad-row", "skip", "--rejects", filepath.Join(v.dir, "r.csv"), "--output", "json"},
		{"resume", "--campaign", "c"}, {"resume", "--campaign", hostile},
		{"run", bad, "--yes", "--comment", "c"}, {"run", bad, "--yes", "--comment", "c", "--format", hostile},
		{"run", cells, "--yes", "--comment", "c"}, {"run", names, "--yes", "--resolve", "--comment", "c"},
		{"run", names, "--yes", "--resolve", "--ambiguous", "newest", "--on-bad-row", "skip", "--comment", "c"},
		{"run", list("none.csv", "name,"+cell+"\n"+cell+",b\n"), "--yes", "--comment", "c"},
		{"run", filepath.Join(v.dir, hostile), "--yes", "--comment", "c"}, {"run", good, "--campaign", hostile, "--comment", "c"},
		{"run", good, "--journal", filepath.Join(v.dir, inline), "--yes", "--comment", "c", "--campaign", "d", "--tenant", inline},
		{"status", "--verbose"}, {"status", "--campaign", "c", "--output", "json"}, {"status", "--journal", hostile}, {"status", "--campaign", hostile},
		{"resolve", hostile, "--applied", "--reason", hostile}, {"resolve", ids[0].ID, "--campaign", "c", "--applied", "--reason", hostile},
		{"resolve", "--from", bad, "--applied", "--reason", hostile},
		{"follow", "--for", "0"}, {"verify"}, {"verify", "--campaign", hostile}, {"follow", "--for", hostile},
		{"journal", "check"}, {"journal", "check", "--head", hostile}, {"journal", hostile}, {"journal", "recover", hostile, hostile}, {"doctor"}, {"doctor", "--api-url", hostile}, {"doctor", "--authority-url", "https://" + hostile},
		{"doctor", "--auth", hostile}, {"doctor", "--cloud", hostile}, {"doctor", "--ca-file", hostile},
		{hostile}, {"run", "--" + hostile}, {"run", good, "--max", hostile}, {"run", good, "--log-level", hostile}, {"help", hostile},
	} {
		tap.listen()
		v.into(t.Context(), tap, written, args)
	}
	if data, err := os.ReadFile(v.env["OFFBOARD_LOG_FILE"]); err == nil {
		written["the log file"] = data
		checkJSONLines(t, "the log file", data)
		delete(v.env, "OFFBOARD_LOG_FILE")
	}
	v.exports(t, written)
}

// exports writes the journal to a terminal, and to a file, which gets it as the
// journal has it.
func (v *virtualTenant) exports(t *testing.T, written map[string][]byte) {
	t.Helper()
	copies := map[bool]*bytes.Buffer{true: {}, false: {}}
	for display, out := range copies {
		code := run(t.Context(), []string{"journal", "export"}, environment{
			stdin: strings.NewReader(""), stdout: out, stderr: io.Discard, display: display,
			getenv: func(name string) string { return v.env[name] },
		})
		if code != exitOK || out.Len() == 0 {
			t.Errorf("exit code %d, %d bytes", code, out.Len())
		}
		checkJSONLines(t, "export", out.Bytes())
	}
	written["stdout of journal export"] = copies[true].Bytes()
	kept := copies[false].String()
	if harmless(kept) != copies[true].String() || !strings.Contains(kept, "\u202e") {
		t.Errorf("the export is not what the journal holds: %q", kept)
	}
}
