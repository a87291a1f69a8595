package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// configFile is the file of --config: values for flags, under the flags' own names.
//
// It is read node by node rather than by a library that merges sources, such as
// viper or koanf: those fold the case of keys, turn values of one type into
// another, pass over what they do not know, and forget the lines, so that they
// could refuse nothing. Types and precedence are the flags' business already.
type configFile struct {
	fileMark
	preferred string // profile if none is named, "" none
	defaults  settings
	profiles  []*profile
}

// profile is what the file says of one tenant.
type profile struct {
	name string
	settings
	credentials *ownCredentials // nil: it names none of its own
}

// settings are values by flag.
type settings map[string]fileValue

type fileValue struct {
	values []string // as on the command line; several are the flag repeated
	line   int
}

// lineError is what is wrong with a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func atLine(n *yaml.Node, format string, args ...any) error {
	return &lineError{n.Line, fmt.Errorf(format, args...)}
}

// isPath says whether a flag names a file, by its help text. The command may be run
// anywhere, so that the configuration says where that is from the root on.
func isPath(f *pflag.Flag) bool {
	kind, _ := pflag.UnquoteUsage(f)
	return slices.Contains([]string{"file", "list", "directory"}, kind)
}

// configReader reads a file for the commands of a tree.
type configReader struct{ known map[string][]*pflag.Flag }

// newConfigReader takes a command tree of its own: values are tried on its flags.
func newConfigReader(root *cobra.Command) configReader {
	known := map[string][]*pflag.Flag{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { known[f.Name] = append(known[f.Name], f) })
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(root)
	return configReader{known}
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// parse reads the text of a file. Whatever is not plain is refused: a setting that
// is passed over would be a bound that does not hold, or another tenant.
func (r configReader) parse(text []byte) (*configFile, error) {
	root, err := onlyDocument(text, "setting")
	if err != nil {
		return nil, errors.New(yamlLine.ReplaceAllString(err.Error(), "$1: "))
	}
	c := &configFile{defaults: settings{}}
	var preferred *yaml.Node
	err = eachKey(root, func(key, value *yaml.Node) (err error) {
		switch key.Value {
		case "default-profile":
			preferred = value
			c.preferred, err = textOf(key, value)
		case "defaults":
			err = r.settings(c.defaults, key, value, nil)
		case "profiles":
			err = r.profiles(c, key, value)
		default:
			return atLine(key, "there is no key %q here: default-profile, defaults and profiles are all", key.Value)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if preferred != nil && c.profile(c.preferred) == nil {
		return nil, atLine(preferred, "there is no profile %q", c.preferred)
	}
	return c, nil
}

// eachKey visits a mapping, each key of which is there once.
func eachKey(mapping *yaml.Node, visit func(key, value *yaml.Node) error) error {
	lines := map[string]int{}
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return atLine(key, "a key is no text")
		case lines[key.Value] > 0:
			return atLine(key, "%s is there already, in line %d", key.Value, lines[key.Value])
		case value.Kind == yaml.AliasNode || value.ShortTag() == "!!null":
			return atLine(key, "%s has no value of its own", key.Value)
		}
		lines[key.Value] = key.Line
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return nil
}

func textOf(key, value *yaml.Node) (string, error) {
	switch {
	case value.Kind != yaml.ScalarNode:
		return "", atLine(key, "%s is to be one value", key.Value)
	case strings.TrimSpace(value.Value) == "":
		return "", atLine(key, "%s: a value is empty", key.Value)
	}
	return value.Value, nil
}

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (r configReader) profiles(c *configFile, key, value *yaml.Node) error {
	if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
		return atLine(key, "profiles is to be a mapping of names to settings")
	}
	return eachKey(value, func(key, value *yaml.Node) error {
		if !profileName.MatchString(key.Value) {
			return atLine(key, "%q is no name of a profile: letters, digits, dots, dashes and underscores", key.Value)
		}
		p := &profile{name: key.Value, settings: settings{}}
		c.profiles = append(c.profiles, p)
		if err := r.settings(p.settings, key, value, p); err != nil {
			return err
		}
		return p.complete()
	})
}

// settings reads values for flags, and the credentials of a profile.
func (r configReader) settings(s settings, key, value *yaml.Node, p *profile) error {
	if value.Kind != yaml.MappingNode {
		return atLine(key, "%s is to be a mapping of flags to values", key.Value)
	}
	return eachKey(value, func(key, value *yaml.Node) (err error) {
		if key.Value == "credentials" && p != nil {
			p.credentials, err = readCredentials(key, value)
			return err
		}
		if err := r.isSetting(key); err != nil {
			return err
		}
		s[key.Value], err = r.setting(key, value)
		return err
	})
}

var looksLikeSecret = regexp.MustCompile(`(?i)secret|token|password|passphrase|api-?key`)

// isSetting refuses a key that no command takes from a file. What only some
// commands know is not the others' business.
func (r configReader) isSetting(key *yaml.Node) error {
	_, known := r.known[key.Value]
	switch {
	case known && personal(key.Value):
		return atLine(key, "--%s has to be said by hand each time, and cannot stand in a file", key.Value)
	case key.Value == "config" || key.Value == "profile":
		return atLine(key, "--%s chooses what is read here, and cannot stand in it", key.Value)
	case known:
		return nil
	case key.Value == "credentials":
		return atLine(key, "credentials belong to a profile: to one app in one tenant")
	case looksLikeSecret.MatchString(key.Value):
		return atLine(key, "a secret has no place here: put it into a file that only you can read, or into a variable, and name that in the profile's credentials")
	}
	names := make([]string, 0, len(r.known))
	for name := range r.known {
		if !personal(name) {
			names = append(names, name)
		}
	}
	return atLine(key, "there is no flag %q%s", key.Value, didYouMean(key.Value, names))
}

func (r configReader) setting(key, value *yaml.Node) (fileValue, error) {
	s := fileValue{line: key.Line}
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		items = value.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			return s, atLine(key, "%s is to be a value, or a list of values", key.Value)
		}
		text, err := textOf(key, item)
		if err != nil {
			return s, err
		}
		if slices.ContainsFunc(r.known[key.Value], isPath) && !filepath.IsAbs(text) {
			return s, atLine(item, "%s: %q is no absolute path", key.Value, text)
		}
		s.values = append(s.values, text)
	}
	return s, r.try(key, value, s)
}

// try sets the value on every flag of the name.
func (r configReader) try(key, value *yaml.Node, s fileValue) error {
	for _, f := range r.known[key.Value] {
		if _, repeats := f.Value.(pflag.SliceValue); !repeats && value.Kind == yaml.SequenceNode {
			return atLine(key, "%s takes one value, no list", key.Value)
		}
		for _, text := range s.values {
			if f.Value.Set(text) != nil {
				return atLine(key, "%s: %q is no %s", key.Value, text, f.Value.Type())
			}
		}
	}
	if len(s.values) == 0 {
		return atLine(key, "%s: the list is empty", key.Value)
	}
	return nil
}

// didYouMean names what is written nearly like a word.
func didYouMean(word string, names []string) string {
	all := cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range slices.Sorted(slices.Values(names)) {
		all.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	near := all.SuggestionsFor(word)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near[:min(3, len(near))], " or ") + "?"
}

// profile returns nil if there is none of the name.
func (c *configFile) profile(name string) *profile {
	for _, p := range c.profiles {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (c *configFile) names() []string {
	names := make([]string, len(c.profiles))
	for i, p := range c.profiles {
		names[i] = p.name
	}
	return names
}

// choose returns the profile that was named, else the one that the file prefers,
// else the only one; nil if there is none of these.
func (c *configFile) choose(name string) (*profile, error) {
	if name = cmp.Or(name, c.preferred); name != "" {
		if p := c.profile(name); p != nil {
			return p, nil
		}
		known := "it has none"
		if len(c.profiles) > 0 {
			known = "it has " + strings.Join(c.names(), ", ")
		}
		return nil, usageError("%s has no profile %q; %s", c.Path, name, known)
	}
	if len(c.profiles) == 1 {
		return c.profiles[0], nil
	}
	return nil, nil //nolint:nilnil // the defaults alone
}
