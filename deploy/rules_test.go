package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// promtool finds Prometheus's own tool, on the path or where 'make check-alerts'
// leaves it.
func promtool(t *testing.T) string {
	t.Helper()
	fetched, err := filepath.Abs(filepath.Join("..", "bin", "promtool"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fetched); err == nil {
		return fetched
	}
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip(err)
	}
	return tool
}

// TestRules: the rules are what Prometheus takes and do what their own tests say;
// with another bound in one of them these fail.
func TestRules(t *testing.T) {
	tool := promtool(t)
	for _, mistake := range []bool{false, true} {
		dir := t.TempDir()
		for _, name := range []string{"offboard.rules.yml", "offboard.rules.test.yml"} {
			text, err := os.ReadFile(filepath.Join("prometheus", name))
			if err != nil {
				t.Fatal(err)
			}
			if mistake {
				text = bytes.Replace(text, []byte("for: 4h"), []byte("for: 3h"), 1)
			}
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(tool, "check", "rules", filepath.Join(dir, "offboard.rules.yml")).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		out, err = exec.Command(tool, "test", "rules", filepath.Join(dir, "offboard.rules.test.yml")).CombinedOutput()
		if (err != nil) != mistake {
			t.Errorf("with a mistake: %t: %v\n%s", mistake, err, out)
		}
	}
}

// TestDashboard: every question that the dashboard asks is one that Prometheus
// understands.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("grafana", "offboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	type group struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	}
	var rules []rule
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			rules = append(rules, rule{"dashboard:question", strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")})
		}
	}
	if len(rules) < 10 {
		t.Fatalf("only %d questions were found", len(rules))
	}
	tool := promtool(t)
	for _, mistake := range []bool{false, true} {
		if mistake {
			rules[0].Expr += ")"
		}
		file, err := yaml.Marshal(map[string][]group{"groups": {{"dashboard", rules}}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "dashboard.yml")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "check", "rules", path).CombinedOutput()
		if (err != nil) != mistake {
			t.Errorf("with a mistake: %t: %v\n%s", mistake, err, out)
		}
	}
}
