package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"
)

// TestMetricsAreDocumented: docs/monitoring.md has each metric with its type, labels
// and meaning as Prometheus is told, and none that there is not.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range allMetrics {
		kind, labels := "gauge", ""
		if m.kind == prometheus.CounterValue {
			kind = "counter"
		}
		if len(m.own) > 0 {
			labels = "`" + strings.Join(m.own, "`, `") + "` "
		}
		if row := fmt.Sprintf("\n| `%s` | %s | %s| %s |\n", m.name, kind, labels, m.help); !strings.Contains(string(text), row) {
			t.Errorf("docs/monitoring.md lacks%s", row)
		}
	}
	if rows := regexp.MustCompile("(?m)^\\| `offboard_").FindAllString(string(text), -1); len(rows) != len(allMetrics) {
		t.Errorf("%d metrics in docs/monitoring.md; want %d", len(rows), len(allMetrics))
	}
}

// alertRules is deploy/prometheus/offboard.rules.yml.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Record      string            `yaml:"record"`
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func readAlertRules(t *testing.T) (r alertRules) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(deployFile(t, "prometheus", "offboard.rules.yml")), &r); err != nil || len(r.Groups) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	return r
}

// dashboardQuestions are what the Grafana dashboard asks Prometheus, and how it names
// the answers.
func dashboardQuestions(t *testing.T) (all []string) {
	t.Helper()
	var dashboard any
	if err := json.Unmarshal([]byte(deployFile(t, "grafana", "offboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if text, ok := v[key].(string); ok && slices.Contains([]string{"expr", "definition", "legendFormat"}, key) {
					all = append(all, text)
				}
				visit(v[key])
			}
		case []any:
			for _, each := range v {
				visit(each)
			}
		}
	}
	visit(dashboard)
	return all
}

var (
	metricNamed  = regexp.MustCompile(`\boffboard[_:][a-z_:]+`)
	labelsTested = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	labelsListed = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	labelShown   = regexp.MustCompile(`\$labels\.(\w+)|\{\{(\w+)\}\}`)
)

// TestMetricsThatAreAskedFor: the dashboard and the alert rules ask for no metric and
// no label that offboard does not show, and for most that it does.
func TestMetricsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	known, labels, asked := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range allMetrics {
		known[m.name] = true
		for _, label := range append(slices.Clone(everyMetrics), m.own...) {
			labels[label] = true
		}
	}
	questions := dashboardQuestions(t)
	for _, rule := range readAlertRules(t).Groups[0].Rules {
		questions = append(questions, rule.Expr)
		if rule.Record != "" {
			known[rule.Record] = true
		}
		for _, text := range rule.Annotations {
			questions = append(questions, labelShown.FindAllString(text, -1)...)
		}
	}
	for _, question := range questions {
		for _, name := range metricNamed.FindAllString(question, -1) {
			if asked[name] = true; !known[name] {
				t.Errorf("there is no metric %s: %s", name, question)
			}
		}
		for _, m := range labelsTested.FindAllStringSubmatch(question, -1) {
			if !labels[m[1]] {
				t.Errorf("there is no label %s: %s", m[1], question)
			}
		}
		for _, m := range labelShown.FindAllStringSubmatch(question, -1) {
			if !labels[m[1]+m[2]] {
				t.Errorf("there is no label of %q", question)
			}
		}
		for _, m := range labelsListed.FindAllStringSubmatch(question, -1) {
			for label := range strings.SplitSeq(m[1], ",") {
				if !labels[strings.TrimSpace(label)] {
					t.Errorf("there is no label %q: %s", label, question)
				}
			}
		}
	}
	for name := range known {
		if !asked[name] {
			t.Errorf("nobody asks for %s", name)
		}
	}
}

// TestAlertsAreDocumented: docs/monitoring.md says of each alert what to do, and
// every command that it or the alert names is one.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	row, command := regexp.MustCompile("(?m)^\\| `(Offboard\\w+)` \\|.*$"), regexp.MustCompile("['`](offboard [a-z][^'`]*)['`]")
	documented := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[0]
	}
	for _, rule := range readAlertRules(t).Groups[0].Rules {
		if rule.Alert == "" {
			continue
		}
		said := documented[rule.Alert]
		delete(documented, rule.Alert)
		if said == "" {
			t.Errorf("docs/monitoring.md lacks %s", rule.Alert)
		}
		for _, where := range []string{said, rule.Annotations["description"]} {
			commands := command.FindAllStringSubmatch(where, -1)
			if len(commands) == 0 {
				t.Errorf("%s: no command: %s", rule.Alert, where)
			}
			for _, m := range commands {
				args := words(strings.NewReplacer("{{ $labels.campaign }}", "NAME").Replace(m[1]))
				found, rest, err := commandTree().Find(args[1:])
				if err == nil {
					err = found.ParseFlags(rest)
				}
				if err != nil || !found.HasParent() {
					t.Errorf("%s: %q: %v", rule.Alert, m[1], err)
				}
			}
		}
	}
	for name := range documented {
		t.Errorf("there is no alert %s", name)
	}
}
