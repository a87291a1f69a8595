package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offboard/internal/simulator"
)

// logSchema is what docs/log-events.md says: the fields of each message.
func logSchema(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "log-events.md"))
	if err != nil {
		t.Fatal(err)
	}
	schema, code := map[string]map[string]bool{}, regexp.MustCompile("`([^`]+)`")
	for _, row := range regexp.MustCompile("(?m)^\\| `(.+?)` \\| ([^|]+) \\|(.*)\\|$").FindAllStringSubmatch(string(text), -1) {
		fields := map[string]bool{}
		for _, m := range code.FindAllStringSubmatch(row[3], -1) {
			fields[m[1]] = true
		}
		schema[row[1]] = fields
	}
	if progress := schema["progress"]; progress != nil {
		schema["started"] = progress // "as progress"
	}
	return schema
}

// fieldsOf looks a message up; one that ends with an ellipsis stands for all that
// begin like it.
func fieldsOf(schema map[string]map[string]bool, message string) (map[string]bool, bool) {
	if fields, ok := schema[message]; ok {
		return fields, true
	}
	for known, fields := range schema {
		if prefix, ok := strings.CutSuffix(known, "…"); ok && strings.HasPrefix(message, prefix) {
			return fields, true
		}
	}
	return nil, false
}

// literalsOf returns the literal messages of the package's log lines, and the
// values of the constants of a type in another file.
func literalsOf(t *testing.T, path string, want func(ast.Node) *ast.BasicLit) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal := want(n); literal != nil && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				found = append(found, text)
			}
		}
		return true
	})
	return found
}

// loggedMessage is the literal at the beginning of what Msg is given.
func loggedMessage(n ast.Node) *ast.BasicLit {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return nil
	}
	if method, ok := call.Fun.(*ast.SelectorExpr); !ok || method.Sel.Name != "Msg" {
		return nil
	}
	argument := call.Args[0]
	if sum, ok := argument.(*ast.BinaryExpr); ok {
		argument = sum.X
	}
	literal, _ := argument.(*ast.BasicLit)
	return literal
}

// eventKind is the value of a constant of type EventKind.
func eventKind(n ast.Node) *ast.BasicLit {
	spec, ok := n.(*ast.ValueSpec)
	if !ok || len(spec.Values) != 1 {
		return nil
	}
	if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "EventKind" {
		return nil
	}
	literal, _ := spec.Values[0].(*ast.BasicLit)
	return literal
}

// TestLogEvents: every message that the code can log is in docs/log-events.md, and
// what campaigns do log has no field that is not.
func TestLogEvents(t *testing.T) {
	t.Parallel()
	schema := logSchema(t)
	messages := literalsOf(t, filepath.Join("..", "..", "runner", "event.go"), eventKind)
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if !strings.HasSuffix(source, "_test.go") {
			messages = append(messages, literalsOf(t, source, loggedMessage)...)
		}
	}
	for _, message := range messages {
		if _, ok := fieldsOf(schema, message); !ok && message != "" {
			t.Errorf("docs/log-events.md lacks a row for %q", message)
		}
	}
	if len(messages) < 30 {
		t.Errorf("only %d messages were found", len(messages))
	}
	seen := map[string]bool{}
	for _, line := range loggedByCampaigns(t) {
		checkLogLine(t, schema, line, seen)
	}
	for _, want := range []string{"list read", "journal open", "list enlisted", "started", "outcome", "throttled", "tenant_read", "not sent again", "ended", "signed in", "settled", "to resume"} {
		if !seen[want] {
			t.Errorf("no campaign has logged %q", want)
		}
	}
}

func checkLogLine(t *testing.T, schema map[string]map[string]bool, line []byte, seen map[string]bool) {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(line, &event); err != nil {
		t.Errorf("%s: %v", line, err)
		return
	}
	message, _ := event["message"].(string)
	seen[message] = true
	fields, ok := fieldsOf(schema, message)
	if event["level"] == "error" {
		fields, ok = map[string]bool{"exit_code": true, "hint": true}, true
	}
	if !ok {
		t.Errorf("not in docs/log-events.md: %s", line)
	}
	for field := range event {
		if field != "time" && field != "level" && field != "message" && !fields[field] {
			t.Errorf("docs/log-events.md lacks the field %s: %s", field, line)
		}
	}
	if _, err := time.Parse(time.RFC3339, event["time"].(string)); err != nil {
		t.Error(err)
	}
}

// loggedByCampaigns returns the log of a campaign with a bound, a 429, a machine
// that is gone and a device that fails, of its end, and of commands after it.
func loggedByCampaigns(t *testing.T) (lines [][]byte) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{
			Machines: 12, Seed: 1, SettleAfter: time.Millisecond,
			Faults: []simulator.Fault{{Kind: simulator.Throttle, Nth: 3}, {Kind: simulator.DropAfter, Nth: 6}},
		})
		defer v.close()
		failing := v.sim.Machines()[4]
		failing.Failing = true
		v.sim.AddMachine(failing)
		v.sim.Authorise(failing.ID, 2) // its first action ends without success
		v.sim.RemoveMachine(v.sim.Machines()[2].ID)
		for _, args := range [][]string{
			{"run", v.list, "--comment", "why", "--yes", "--max-calls", "10"},
			{"resume"},
			{"run", v.list, "--comment", "why", "--yes", "--campaign", "second"},
			{"run", v.list, "--comment", "why", "--yes", "--campaign", "third", "--exclude", v.list},
			{"follow", "--campaign", "machines", "--for", "0"},
			{"resume", "--campaign", "nobody"},
		} {
			_, _, stderr := v.run(t.Context(), append(args, "--log-format", "json", "--log-level", "debug")...)
			lines = append(lines, bytes.Split(bytes.TrimSpace([]byte(stderr)), []byte("\n"))...)
		}
	})
	return lines
}
