package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at the configuration",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.configShowCommand())
	return cmd
}

func (a *app) configShowCommand() *cobra.Command {
	var f outputFlag
	cmd := &cobra.Command{
		Use:   "show [COMMAND] [-- FLAGS]",
		Short: "Show each value that a command would have, and where it comes from",
		Long: `Reads the whole configuration file, refuses what is wrong with it, and shows
each value that a command would have with its source: a flag, a variable, a line
of the file, or the default. COMMAND is run unless another is named; flags of it
come after --. Of secrets it says only whether and where there is one. It signs in
to nothing.`,
		Example: "  offboard config show\n  offboard config show --profile north -- resume --per-minute 50",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			shown, err := a.showConfig(cmd, args)
			if err != nil {
				return err
			}
			if f.output == "json" {
				return writeJSON(a.env.stdout, shown)
			}
			return shown.write(a.env.stdout)
		},
	}
	f.bind(cmd.Flags())
	return cmd
}

// shownConfig is what config show prints with --output json.
type shownConfig struct {
	Config   *fileMark      `json:"config"`  // nil: there is none
	Profile  string         `json:"profile"` // "": the defaults alone
	ChosenBy string         `json:"chosen_by"`
	Profiles []string       `json:"profiles"`
	Policy   *policyMark    `json:"policy"` // of the machine; nil: there is none
	Command  string         `json:"command"`
	Settings []shownSetting `json:"settings"`
	SignIn   []shownSecret  `json:"sign_in"`
}

type shownSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	shownOrigin
}

type shownOrigin struct {
	Source   string `json:"source"` // flag, environment, file, default
	Variable string `json:"variable,omitempty"`
	Line     int    `json:"line,omitempty"`
	Section  string `json:"section,omitempty"`

	file string
}

// shownSecret says whether there is a secret, and never which.
type shownSecret struct {
	Name string `json:"name"`
	Set  bool   `json:"set"`
	Path string `json:"path,omitempty"` // of the file that holds it
	shownOrigin
}

func (a *app) showConfig(cmd *cobra.Command, args []string) (shownConfig, error) {
	target, err := commandToShow(cmd.Root(), args)
	if err != nil {
		return shownConfig{}, err
	}
	if err := flagsFromEnvironment(target.Flags(), a.env.getenv); err != nil {
		return shownConfig{}, err
	}
	named := originOf(target.Flags().Lookup("profile"))
	if err := a.configure(target); err != nil {
		return shownConfig{}, err
	}
	p, err := a.inForce(cmd.Context())
	if err != nil {
		return shownConfig{}, err
	}
	shown := shownConfig{
		Profiles: []string{}, Policy: p.mark(), Command: strings.TrimPrefix(target.CommandPath(), "offboard "),
		SignIn: a.shownSecrets(),
	}
	if c := a.config; c.file != nil {
		shown.Config, shown.Profiles = &c.file.fileMark, c.file.names()
		if c.profile != nil {
			shown.Profile, shown.ChosenBy = c.profile.name, c.chosenBy(named)
		}
	}
	target.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "config" && f.Name != "profile" {
			shown.Settings = append(shown.Settings, a.shownSetting(f))
		}
	})
	return shown, nil
}

// chosenBy says why it is this profile, which the flag has named or not.
func (f *configFlags) chosenBy(named origin) string {
	switch {
	case named.kind != byDefault:
		return named.words()
	case f.file.preferred != "":
		return "default-profile"
	}
	return "the only profile"
}

// commandToShow finds the command whose values are to be shown, and gives it the
// flags that stand behind it.
func commandToShow(root *cobra.Command, args []string) (*cobra.Command, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		args = append([]string{"run"}, args...)
	}
	target, rest, err := root.Find(args)
	if err != nil || target == root {
		return nil, usageError("unknown command %q", args[0])
	}
	if target.Flags().Lookup("tenant") == nil {
		return nil, usageError("'%s' takes nothing from a configuration", target.CommandPath())
	}
	if err := target.ParseFlags(rest); err != nil {
		return nil, &commandError{code: exitUsage, err: err, hint: "see '" + target.CommandPath() + " --help'"}
	}
	return target, nil
}

func (a *app) shownSetting(f *pflag.Flag) shownSetting {
	s := shownSetting{Name: f.Name, Value: f.DefValue, shownOrigin: originOf(f).shown()}
	list, isList := f.Value.(pflag.SliceValue)
	switch {
	case f.Changed && isList:
		s.Value = strings.Join(list.GetSlice(), ", ")
	case f.Changed:
		s.Value = f.Value.String()
	case isList:
		s.Value = ""
	case a.azureSays(f.Name):
		variable := azureVariable[f.Name]
		s.Value, s.shownOrigin = a.env.getenv(variable), shownOrigin{Source: fromEnvironment, Variable: variable}
	}
	if u, err := url.Parse(s.Value); err == nil && u.User != nil {
		s.Value = u.Redacted()
	}
	return s
}

func (o origin) shown() shownOrigin {
	return shownOrigin{Source: o.kind, Variable: o.variable, Line: o.line, Section: o.section, file: o.file}
}

// shownSecrets says which secrets there are to sign in with.
func (a *app) shownSecrets() []shownSecret {
	if a.config.profile != nil && a.config.profile.credentials != nil {
		return a.config.profile.shownSecrets(filepath.Base(a.config.file.Path), a.env.getenv)
	}
	secrets := []shownSecret{}
	for _, s := range []struct {
		name      string
		variables []string // the first that is set is used
	}{
		{"client-secret", []string{"OFFBOARD_CLIENT_SECRET_FILE", "AZURE_CLIENT_SECRET"}},
		{"certificate", []string{"AZURE_CLIENT_CERTIFICATE_PATH"}},
		{"certificate-password", []string{"AZURE_CLIENT_CERTIFICATE_PASSWORD"}},
		{"federated-token", []string{"AZURE_FEDERATED_TOKEN_FILE"}},
		{"token", []string{"OFFBOARD_TOKEN_FILE", "OFFBOARD_TOKEN"}},
	} {
		shown := shownSecret{Name: s.name, shownOrigin: shownOrigin{Source: byDefault}}
		for _, variable := range s.variables {
			if !shown.Set && a.env.getenv(variable) != "" {
				shown.Set, shown.shownOrigin = true, shownOrigin{Source: fromEnvironment, Variable: variable}
			}
		}
		secrets = append(secrets, shown)
	}
	return secrets
}

// shownSecrets are those that the profile names, and no others are looked at.
func (p *profile) shownSecrets(file string, getenv func(string) string) (secrets []shownSecret) {
	fields := p.credentials.fields()
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := *fields[key].value
		if value == "" {
			continue
		}
		s := shownSecret{Set: true, shownOrigin: shownOrigin{Source: fromFile, Line: p.credentials.lines[key], Section: "profile " + p.name, file: file}}
		if fields[key].file {
			s.Name, s.Path = strings.TrimSuffix(key, "-file"), value
		} else {
			s.Name, s.Source, s.Set = strings.TrimSuffix(key, "-variable"), fromEnvironment, getenv(value) != ""
		}
		if s.Set && s.Path == "" {
			s.Variable = value // which is a name then, and no secret in the wrong place
		}
		secrets = append(secrets, s)
	}
	return secrets
}

func (s shownConfig) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	line("Configuration: %s", s.Config.words())
	if s.Config != nil {
		line("Profile: %s", s.profileWords())
	}
	if s.Policy != nil {
		line("Policy: %s", s.Policy.words())
	} else {
		line("Policy: none on this machine")
	}
	line("Command: offboard %s\n", s.Command)
	for _, setting := range s.Settings {
		line("%s\t%s\t%s", setting.Name, cmp.Or(setting.Value, "-"), setting.words())
	}
	line("")
	for _, secret := range s.SignIn {
		line("%s\t%s", secret.Name, secret.words())
	}
	return w.Flush()
}

func (m *fileMark) words() string {
	if m == nil {
		return "none"
	}
	return m.Path + ", SHA-256 " + m.SHA256
}

func (s shownConfig) profileWords() string {
	if s.Profile == "" {
		return "none, of " + cmp.Or(strings.Join(s.Profiles, ", "), "none")
	}
	return fmt.Sprintf("%s (%s), of %s", s.Profile, s.ChosenBy, strings.Join(s.Profiles, ", "))
}

func (o shownOrigin) words() string {
	words := strings.TrimSpace(o.Source + " " + o.Variable)
	if o.Line > 0 {
		if o.Variable != "" {
			words += ", named in" // the line names the variable
		}
		words += fmt.Sprintf(" %s:%d (%s)", o.file, o.Line, o.Section)
	}
	return words
}

func (s shownSecret) words() string {
	switch {
	case !s.Set && s.Line > 0:
		return fmt.Sprintf("not set: the variable of %s:%d (%s) is empty", s.file, s.Line, s.Section)
	case !s.Set:
		return "not set"
	case s.Path != "":
		return "set: in " + s.Path + ", " + s.shownOrigin.words()
	}
	return "set: " + s.shownOrigin.words()
}
