package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"offboard/runner"
)

// policyText is the policy as it is written.
type policyText struct {
	exclude, where, requireTags, excludeTags, os, groups []string
	onlyInactive, servers                                string
	max                                                  int
	maxPercent                                           float64
	maxCalls                                             int
	maxFailures                                          string
	minSample                                            int
	window, timeZone                                     string
	ticket                                               string
	requirePlan, requireApproval                         bool

	lines map[string]int // of the keys that are there
}

// fields are the keys of the file.
func (t *policyText) fields() map[string]any {
	return map[string]any{
		"exclude": &t.exclude, "where": &t.where, "require_tags": &t.requireTags, "exclude_tags": &t.excludeTags,
		"os": &t.os, "groups": &t.groups, "only_inactive": &t.onlyInactive, "servers": &t.servers,
		"max": &t.max, "max_percent_of_tenant": &t.maxPercent,
		"max_calls": &t.maxCalls, "max_failures": &t.maxFailures, "max_failures_min_sample": &t.minSample,
		"window": &t.window, "time_zone": &t.timeZone,
		"ticket": &t.ticket, "require_plan": &t.requirePlan, "require_approval": &t.requireApproval,
	}
}

// parsePolicy reads the text of a policy. A rule that is not understood would be
// one that does not hold, so whatever is not plain is refused.
func parsePolicy(text []byte) (*policy, error) {
	root, err := onlyDocument(text, "rule")
	if err != nil {
		return nil, err
	}
	t := policyText{lines: map[string]int{}, minSample: defaultMinSample}
	fields := t.fields()
	for i := 0; i < len(root.Content); i += 2 {
		if err := t.take(fields, root.Content[i], root.Content[i+1]); err != nil {
			return nil, err
		}
	}
	return t.policy()
}

// onlyDocument is the mapping that a file consists of; content is what it is to
// hold, for the error of one that holds nothing.
func onlyDocument(text []byte, content string) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode || len(document.Content[0].Content) == 0 {
		return nil, fmt.Errorf("it holds no %s: it is to be a mapping of keys to values", content)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, errors.New("it holds a second document")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return document.Content[0], nil
}

// take reads one key.
func (t *policyText) take(fields map[string]any, key, value *yaml.Node) error {
	field, known := fields[key.Value]
	switch {
	case !known:
		return fmt.Errorf("line %d: there is no key %q", key.Line, key.Value)
	case t.lines[key.Value] > 0:
		return fmt.Errorf("line %d: %s is there already, in line %d", key.Line, key.Value, t.lines[key.Value])
	}
	t.lines[key.Value] = key.Line
	if value.Kind == yaml.AliasNode || value.ShortTag() == "!!null" {
		return t.fault(key.Value, errors.New("it has no value of its own"))
	}
	if err := value.Decode(field); err != nil {
		return t.fault(key.Value, fmt.Errorf("it is not %s", kindOf(field)))
	}
	if isBlank(field) {
		return t.fault(key.Value, errors.New("a value is empty"))
	}
	return nil
}

func (t *policyText) fault(key string, err error) error {
	return fmt.Errorf("line %d: %s: %w", t.lines[key], key, err)
}

func kindOf(field any) string {
	switch field.(type) {
	case *[]string:
		return "a list of texts"
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *bool:
		return "true or false"
	default:
		return "a text"
	}
}

// isBlank says whether a text, a list or a part of it is empty.
func isBlank(field any) bool {
	var texts []string
	switch f := field.(type) {
	case *string:
		texts = []string{*f}
	case *[]string:
		texts = *f
	default:
		return false
	}
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			return true
		}
	}
	return len(texts) == 0
}

// has says whether a key is there.
func (t *policyText) has(key string) bool { return t.lines[key] > 0 }

// policy gives the text its meaning.
func (t *policyText) policy() (*policy, error) {
	p := &policy{
		guard: runner.Guard{
			RequireTags: t.requireTags, ExcludeTags: t.excludeTags, OS: t.os, Groups: t.groups, IncludeServers: !t.has("servers"),
		},
		max: t.max, maxPercent: t.maxPercent,
		bounds: budgetFlags{
			maxCalls: t.maxCalls, maxFailures: t.maxFailures, minSample: t.minSample, window: t.window, timeZone: t.timeZone,
		},
		ticket: t.ticket, requirePlan: t.requirePlan, requireApproval: t.requireApproval,
	}
	for _, path := range t.exclude {
		p.Exclude = append(p.Exclude, fileMark{Path: path})
	}
	var err error
	if p.guard.Where, err = parseConditions(t.where); err != nil {
		return nil, t.fault("where", err)
	}
	if p.guard.InactiveFor, err = parseDays(t.onlyInactive); err != nil {
		return nil, t.fault("only_inactive", err)
	}
	if p.isTicket, err = wholly(t.ticket); err != nil {
		return nil, t.fault("ticket", err)
	}
	if key, reason := t.nonsense(); key != "" {
		return nil, t.fault(key, errors.New(reason))
	}
	if err := (&budgetFlags{window: t.window, timeZone: t.timeZone}).validate(); err != nil {
		return nil, t.fault("window", err)
	}
	if err := p.bounds.validate(); err != nil {
		return nil, t.fault("max_failures", err)
	}
	return p, nil
}

// wholly is a pattern that has to match the whole of a text, also where nobody
// has thought of it.
func wholly(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err // a bracket too many would end the group below
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// nonsense names a key whose value would not do what it seems to.
func (t *policyText) nonsense() (key, reason string) {
	for _, path := range t.exclude {
		if !filepath.IsAbs(path) {
			return "exclude", fmt.Sprintf("%q is no absolute path", path)
		}
	}
	switch {
	case t.has("servers") && t.servers != "never":
		return "servers", fmt.Sprintf("%q is not never", t.servers)
	case t.has("max") && t.max < 1:
		return "max", "it is at least 1"
	case t.has("max_calls") && t.maxCalls < 1:
		return "max_calls", "it is at least 1"
	case t.has("max_percent_of_tenant") && !(t.maxPercent > 0 && t.maxPercent <= 100):
		return "max_percent_of_tenant", "it is above 0 and at most 100"
	case t.minSample < 0:
		return "max_failures_min_sample", "it is not negative"
	case t.has("max_failures_min_sample") && !t.has("max_failures"):
		return "max_failures_min_sample", "there is no max_failures"
	case t.has("window") && (!t.has("time_zone") || t.timeZone == "Local"):
		return "window", "it needs a time_zone such as Europe/Oslo: the local one is whatever the environment says"
	case t.has("time_zone") && !t.has("window"):
		return "time_zone", "there is no window"
	}
	return "", ""
}
