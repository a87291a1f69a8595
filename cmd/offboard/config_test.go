package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/defender"
)

func parseConfig(text string) (*configFile, error) {
	return newConfigReader(commandTree()).parse([]byte(text))
}

// rooted is a path that is absolute here.
func rooted(path string) string {
	if runtime.GOOS == "windows" {
		return "C:" + path
	}
	return path
}

// TestConfigText: each part of a file, and whatever is not plain, with its line.
func TestConfigText(t *testing.T) {
	t.Parallel()
	c, err := parseConfig(`# of two tenants
default-profile: north
defaults:
  max: 0x10
  max-failures: 2%
  window: 22:00-06:00
  resolve: true
  exclude-tag: [Keep, 'Crown, jewels']
  where: site=Oslo,Leeds
  log-level: warn
profiles:
  north:
    tenant: t
    client-id: c
    credentials:
      certificate-file: ` + rooted("/n.pem") + `
      certificate-password-variable: NORTH
  south.2: {share: 0.5}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &configFile{
		preferred: "north",
		defaults: settings{
			"max": {[]string{"0x10"}, 4}, "max-failures": {[]string{"2%"}, 5}, "window": {[]string{"22:00-06:00"}, 6}, "resolve": {[]string{"true"}, 7},
			"exclude-tag": {[]string{"Keep", "Crown, jewels"}, 8}, "where": {[]string{"site=Oslo,Leeds"}, 9}, "log-level": {[]string{"warn"}, 10},
		},
		profiles: []*profile{
			{
				name: "north", settings: settings{"tenant": {[]string{"t"}, 13}, "client-id": {[]string{"c"}, 14}},
				credentials: &ownCredentials{
					line: 15, certificate: rooted("/n.pem"), passwordVariable: "NORTH",
					lines: map[string]int{"certificate-file": 16, "certificate-password-variable": 17},
				},
			},
			{name: "south.2", settings: settings{"share": {[]string{"0.5"}, 18}}},
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant\n%+v", c, want)
	}
	const app = "profiles:\n  a:\n    tenant: t\n    client-id: c\n    credentials:\n      "
	for text, want := range map[string]string{
		"":                                     "no setting",
		"# nothing\n":                          "no setting",
		"[a]":                                  "no setting",
		"defaults: {max: 5}\n---\n{}\n":        "second document",
		"defaults: [\n":                        "1: ",
		"defaults:\n\t max: 5":                 "2: ",
		"default: {max: 5}":                    `1: there is no key "default" here`,
		"max: 5":                               `1: there is no key "max" here`,
		"default-profile: a":                   `1: there is no profile "a"`,
		"default-profile: [a]":                 "1: default-profile is to be one value",
		"default-profile:":                     "1: default-profile has no value",
		"defaults:":                            "1: defaults has no value",
		"defaults: 5":                          "1: defaults is to be a mapping",
		"defaults: {}\ndefaults: {}":           "2: defaults is there already, in line 1",
		"defaults:\n  max: 5\n  max: 6":        "3: max is there already, in line 2",
		"defaults:\n  max:":                    "2: max has no value",
		"defaults:\n  max: ~":                  "2: max has no value",
		"defaults:\n  max: ''":                 "2: max: a value is empty",
		"defaults:\n  max: many":               `2: max: "many" is no int`,
		"defaults:\n  max: 5.5":                `2: max: "5.5" is no int`,
		"defaults:\n  max: [5, 6]":             "2: max takes one value",
		"defaults:\n  max: {a: 5}":             "2: max is to be a value",
		"defaults:\n  share: half":             `2: share: "half" is no float64`,
		"defaults:\n  timeout: 30":             `2: timeout: "30" is no duration`,
		"defaults:\n  resolve: yes":            `2: resolve: "yes" is no bool`,
		"defaults:\n  os: []":                  "2: os: the list is empty",
		"defaults:\n  os: [a, '']":             "2: os: a value is empty",
		"defaults:\n  os: [a, ~]":              "2: os is to be a value",
		"defaults:\n  os: [[a]]":               "2: os is to be a value",
		"defaults:\n  max: &a 5\n  expect: *a": "3: expect has no value of its own",
		"defaults:\n  <<: {max: 5}":            `2: there is no flag "<<"`,
		"defaults:\n  ? [a]\n  : 5":            "2: a key is no text",
		"defaults:\n  Max: 5":                  `2: there is no flag "Max"; did you mean max`,
		"defaults:\n  max_failures: 5":         `2: there is no flag "max_failures"; did you mean max-failures?`,
		"defaults:\n  journal: x.journal":      `2: journal: "x.journal" is no absolute path`,
		"defaults:\n  exclude: ['" + rooted("/a") + "', ~/b]":           `2: exclude: "~/b" is no absolute path`,
		"defaults:\n  yes: true":                                        "2: --yes has to be said by hand",
		"defaults:\n  include-servers: true":                            "2: --include-servers has to be said by hand",
		"defaults:\n  retry: failed":                                    "2: --retry has to be said by hand",
		"defaults:\n  config: " + rooted("/x"):                          "2: --config chooses",
		"defaults:\n  profile: a":                                       "2: --profile chooses",
		"defaults:\n  client-secret: canary":                            "2: a secret has no place here",
		"defaults:\n  token: canary":                                    "2: a secret has no place here",
		"defaults:\n  api_key: canary":                                  `2: there is no flag "api_key"`,
		"defaults:\n  credentials: {}":                                  "2: credentials belong to a profile",
		"profiles: {}":                                                  "1: profiles is to be a mapping of names",
		"profiles:\n  - a":                                              "1: profiles is to be a mapping of names",
		"profiles:\n  a b: {}":                                          `2: "a b" is no name of a profile`,
		"profiles:\n  a:":                                               "2: a has no value",
		"profiles:\n  a: {}\n  a: {}":                                   "3: a is there already, in line 2",
		"profiles:\n  a:\n    run: {max: 5}":                            `3: there is no flag "run"`,
		"profiles:\n  a:\n    client-secret: canary":                    "3: a secret has no place here",
		"profiles:\n  a:\n    client-secret-file: " + rooted("/canary"): "3: a secret has no place here",
		"profiles:\n  a:\n    tenant: t\n    credentials: {client-secret-variable: A}":    "4: the profile a has credentials and no client-id",
		"profiles:\n  a:\n    credentials: {client-secret-variable: A}\n    client-id: c": "3: the profile a has credentials and no tenant",
		app + "client-secret: canary":                                              "6: a secret has no place here",
		app + "certificate-password: canary":                                       "6: a secret has no place here",
		app + "client-secret-fil: " + rooted("/canary"):                            `6: there is no credential "client-secret-fil"; did you mean client-secret-file?`,
		app + "client-secret-file: canary":                                         "6: client-secret-file is to be the absolute path",
		app + "client-secret-variable: canary~with.dots":                           "6: client-secret-variable is to be the name",
		app + "client-secret-variable: [canary]":                                   "6: client-secret-variable is to be one value",
		app + "certificate-password-variable: A":                                   "5: credentials name one of",
		app + "client-secret-variable: A\n      certificate-file: " + rooted("/a"): "5: credentials name one of",
		app + "client-secret-variable: A\n      certificate-password-variable: A":  "5: a certificate-password goes with",
		app + "certificate-file: " + rooted("/a") + "\n      certificate-password-variable: A\n      certificate-password-file: " + rooted("/b"): "5: the certificate's password is in a file or in a variable",
		strings.TrimSpace(app):         "5: credentials has no value",
		strings.TrimSpace(app) + " {}": "5: credentials name one of",
		strings.TrimSpace(app) + " x":  "5: credentials is to be a mapping",
	} {
		c, err := parseConfig(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, c, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: the error repeats the value: %v", text, err)
		}
	}
}

// configured runs the beginning of a command line, as far as it is configured, and
// returns the value and the origin of each of its flags that is not by default.
func configured(t *testing.T, text string, env map[string]string, args ...string) (map[string]string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "offboard.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := &app{env: environment{stdout: &out, stderr: &out, getenv: func(name string) string { return env[name] }}}
	a.raw = a.env
	root := a.rootCommand()
	values := map[string]string{}
	cmd, rest, err := root.Find(args)
	if err != nil {
		t.Fatal(err)
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if f.Name != "config" {
				values[f.Name] = f.Value.String() + " " + originOf(f).words()
			}
		})
		return nil
	}
	cmd.Args = nil
	root.SetArgs(append(append(strings.Fields(cmd.CommandPath())[1:], "--config", path), rest...))
	return values, root.ExecuteContext(t.Context())
}

// TestConfigPrecedence: a flag wins over the environment, that over the profile, and
// that over the defaults; what a command does not know is not its business.
func TestConfigPrecedence(t *testing.T) {
	t.Parallel()
	const text = `defaults: {share: 0.1, workers: 2, pace: even, exclude-tag: [A, B], region: eu, comment: why, dry-run: true}
profiles:
  north: {share: 0.2, workers: 3, pace: even, tenant: T, exclude-tag: [C]}
  south: {tenant: T, client-id: C, authority-url: 'https://south', credentials: {client-secret-variable: SECRET}}
  bare: {tenant: T, client-id: C, authority-url: 'https://bare'}
`
	azure := map[string]string{"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "other", "AZURE_AUTHORITY_HOST": "https://other"}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want map[string]string
	}{
		"defaults": {nil, []string{"resume"}, map[string]string{
			"share": "0.1 file offboard.yaml:1 (defaults)", "workers": "2 file offboard.yaml:1 (defaults)",
			"pace": "even file offboard.yaml:1 (defaults)", "region": "eu file offboard.yaml:1 (defaults)",
		}},
		"all four": {map[string]string{"OFFBOARD_WORKERS": "4", "OFFBOARD_PACE": "burst", "OFFBOARD_PROFILE": "north"}, []string{"resume", "--pace", "burst"}, map[string]string{
			"profile": "north environment OFFBOARD_PROFILE", "pace": "burst flag", "workers": "4 environment OFFBOARD_WORKERS",
			"share": "0.2 file offboard.yaml:3 (profile north)", "region": "eu file offboard.yaml:1 (defaults)", "tenant": "T file offboard.yaml:3 (profile north)",
		}},
		"another command": {nil, []string{"journal", "check", "--profile", "north"}, map[string]string{
			"profile": "north flag", "tenant": "T file offboard.yaml:3 (profile north)",
		}},
		"Azure's names, with credentials": {azure, []string{"doctor", "--profile", "south", "--share", "1", "--pace", "even", "--region", "us"}, map[string]string{
			"profile": "south flag", "share": "1 flag", "pace": "even flag", "region": "us flag", "tenant": "T file offboard.yaml:4 (profile south)",
			"client-id": "C file offboard.yaml:4 (profile south)", "authority-url": "https://south file offboard.yaml:4 (profile south)",
		}},
		"Azure's names, without": {azure, []string{"doctor", "--profile", "bare", "--share", "1", "--pace", "even", "--region", "us"}, map[string]string{
			"profile": "bare flag", "share": "1 flag", "pace": "even flag", "region": "us flag",
		}},
		"no tenant": {nil, []string{"version", "--profile", "nobody"}, map[string]string{"profile": "nobody flag"}},
		"a plan": {nil, []string{"run", "--plan", "p", "--profile", "north"}, map[string]string{
			"plan": "p flag", "profile": "north flag", "dry-run": "true file offboard.yaml:1 (defaults)", "share": "0.2 file offboard.yaml:3 (profile north)",
			"workers": "3 file offboard.yaml:3 (profile north)", "pace": "even file offboard.yaml:3 (profile north)",
			"region": "eu file offboard.yaml:1 (defaults)", "tenant": "T file offboard.yaml:3 (profile north)",
		}},
		"a list": {nil, []string{"plan", "--profile", "north", "--share", "1", "--pace", "even", "--region", "us"}, map[string]string{
			"profile": "north flag", "share": "1 flag", "pace": "even flag", "region": "us flag", "comment": "why file offboard.yaml:1 (defaults)",
			"exclude-tag": "[C] file offboard.yaml:3 (profile north)", "tenant": "T file offboard.yaml:3 (profile north)",
		}},
	} {
		if got, err := configured(t, text, c.env, c.args...); err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v\n%v\nwant\n%v", name, err, got, c.want)
		}
	}
}

// TestProfileIsOfItsTenant: nobody takes a profile for another tenant, and nobody
// its credentials for another app.
func TestProfileIsOfItsTenant(t *testing.T) {
	t.Parallel()
	const text = `profiles:
  north: {tenant: T, client-id: C}
  south: {tenant: T, client-id: C, credentials: {client-secret-variable: SECRET}}
  none: {share: 1}
`
	for _, c := range []struct {
		profile string
		env     map[string]string
		args    []string
		code    exitCode
	}{
		{"north", nil, nil, exitOK},
		{"north", nil, []string{"--tenant", "t"}, exitOK},
		{"north", nil, []string{"--tenant", "u"}, exitUsage},
		{"north", map[string]string{"OFFBOARD_TENANT": "u"}, nil, exitUsage},
		{"north", map[string]string{"OFFBOARD_TENANT": "u"}, []string{"--tenant", "T"}, exitOK},
		{"north", map[string]string{"AZURE_TENANT_ID": "u"}, nil, exitUsage},
		{"north", map[string]string{"AZURE_TENANT_ID": "T"}, nil, exitOK},
		{"north", map[string]string{"AZURE_TENANT_ID": "u"}, []string{"--tenant", "T"}, exitOK},
		{"north", nil, []string{"--client-id", "d"}, exitOK},
		{"south", nil, []string{"--client-id", "d"}, exitUsage},
		{"south", map[string]string{"OFFBOARD_CLIENT_ID": "d"}, nil, exitUsage},
		{"south", map[string]string{"AZURE_CLIENT_ID": "d"}, nil, exitOK},
		{"south", map[string]string{"AZURE_TENANT_ID": "u"}, nil, exitUsage},
		{"none", map[string]string{"AZURE_TENANT_ID": "u"}, nil, exitOK},
	} {
		_, err := configured(t, text, c.env, append([]string{"doctor", "--profile", c.profile}, c.args...)...)
		if codeOf(err) != c.code {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestProfileSignsIn: with credentials of its own a profile looks at nothing that the
// environment has to sign in with, and without at all of it.
func TestProfileSignsIn(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"AZURE_TENANT_ID": "u", "AZURE_CLIENT_ID": "d", "AZURE_CLIENT_SECRET": "s", "AZURE_CLIENT_CERTIFICATE_PATH": "p", "AZURE_CLIENT_CERTIFICATE_PASSWORD": "w",
		"AZURE_FEDERATED_TOKEN_FILE": "f", "AZURE_AUTHORITY_HOST": "h", "OFFBOARD_CLIENT_SECRET_FILE": "x", "OFFBOARD_TOKEN": "t", "OFFBOARD_TOKEN_FILE": "y",
		"IDENTITY_ENDPOINT": "e", "NORTH": "of north",
	}
	a := &app{env: environment{getenv: func(name string) string { return env[name] }}}
	a.config.file = &configFile{fileMark: fileMark{Path: "offboard.yaml"}}
	for _, c := range []struct {
		own  *ownCredentials
		want defender.AuthConfig
		code exitCode
	}{
		{nil, defender.AuthFromEnv(a.env.getenv), exitOK},
		{&ownCredentials{secretFile: "/n"}, defender.AuthConfig{ClientSecretFile: "/n"}, exitOK},
		{&ownCredentials{secretVariable: "NORTH"}, defender.AuthConfig{ClientSecret: "of north"}, exitOK},
		{&ownCredentials{secretVariable: "SOUTH"}, defender.AuthConfig{}, exitUsage},
		{&ownCredentials{certificate: "/c", passwordFile: "/w"}, defender.AuthConfig{CertificatePath: "/c", CertificatePasswordFile: "/w"}, exitOK},
		{&ownCredentials{certificate: "/c", passwordVariable: "NORTH"}, defender.AuthConfig{CertificatePath: "/c", CertificatePassword: "of north"}, exitOK},
		{&ownCredentials{certificate: "/c", passwordVariable: "SOUTH"}, defender.AuthConfig{}, exitUsage},
	} {
		a.config.profile = &profile{credentials: c.own}
		got, err := a.auth()
		if codeOf(err) != c.code || err == nil && !reflect.DeepEqual(got, c.want) || err != nil && strings.Contains(err.Error(), "SOUTH") {
			t.Errorf("%+v: %+v, %v", c.own, got, err)
		}
	}
}

// TestConfigPlace: where the configuration is looked for, and what is none.
func TestConfigPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there, notThere := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "offboard", "config.yaml")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag, place string
		err         error
		want        string
	}{
		{"", notThere, nil, ""},
		{"", filepath.Join(there, "offboard", "config.yaml"), nil, ""}, // below what is no directory
		{"", there, nil, there},
		{"", there, errors.New("no home"), ""},
		{os.DevNull, there, nil, ""},
		{notThere, there, nil, notThere}, // which is refused
	} {
		a := &app{env: environment{config: func() (string, error) { return c.place, c.err }}, config: configFlags{path: c.flag}}
		if got, err := a.configPath(); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if path, err := processEnvironment().config(); err == nil && (!filepath.IsAbs(path) || !strings.HasSuffix(filepath.ToSlash(path), "/offboard/config.yaml")) {
		t.Errorf("the shipped command looks at %s", path)
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("# nothing\n"), longestConfig/10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, notThere, large, there} {
		if _, err := (&app{}).openConfig(path); codeOf(err) != exitUsage {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestConfigPaths: the flags that name a file are known as such, and others are not.
func TestConfigPaths(t *testing.T) {
	t.Parallel()
	known := newConfigReader(commandTree()).known
	for name, want := range map[string]bool{
		"journal": true, "ca-file": true, "log-file": true, "exclude": true, "rejects": true, "report": true, "out": true, "verification": true, "from": true,
		"api-url": false, "comment": false, "campaign": false, "where": false, "group": false,
	} {
		for _, f := range known[name] {
			if isPath(f) != want {
				t.Errorf("--%s: %s", name, f.Usage)
			}
		}
		if len(known[name]) == 0 {
			t.Errorf("there is no --%s", name)
		}
	}
}

// TestDeployedConfig: the sample has two profiles, each of which run takes.
func TestDeployedConfig(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(deployFile(t, "offboard.yaml"), "/etc/offboard/", rooted("/etc/offboard/"))
	c, err := parseConfig(text)
	if err != nil || !slices.Equal(c.names(), []string{"north", "south"}) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, name := range c.names() {
		values, err := configured(t, text, nil, "run", "--profile", name)
		if err != nil || values["comment"] == "" || !strings.HasPrefix(values["max"], "500 file") || c.profile(name).credentials == nil {
			t.Errorf("%s: %v, %v", name, values, err)
		}
	}
}

// TestDocumentedConfig: what the document shows is a configuration.
func TestDocumentedConfig(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if example == nil {
		t.Fatal("there is no example")
	}
	c, err := parseConfig(strings.ReplaceAll(string(example[1]), "/etc/offboard/", rooted("/etc/offboard/")))
	if err != nil || len(c.profiles) != 2 || c.preferred != "north" {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzConfig: whatever is in a file, it is refused with its line or each of its
// values is one that a command takes, and a key that is none of a flag's is never
// passed over.
func FuzzConfig(f *testing.F) {
	sample, err := os.ReadFile(filepath.Join("..", "..", "deploy", "offboard.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(sample), "defaults: {max: 5, os: [a, b]}", "default-profile: a\nprofiles: {a: {share: 0.5}}", "profiles:\n  a:\n    yes: true",
		"defaults: &a {max: 5}\nprofiles: {b: *a}", "defaults:\n  ? {a: b}\n  : c", "defaults: !!binary aGVsbG8=", "defaults: [\n", "a: b\n---\nc: d", "\xff\xfe", "defaults: {max: 5, max: 6}",
	} {
		f.Add([]byte(seed))
	}
	reader := newConfigReader(commandTree())
	line := regexp.MustCompile(`^\d+: |^yaml: |no setting|second document`)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := reader.parse(text)
		if err != nil {
			if !line.MatchString(err.Error()) {
				t.Errorf("%q: no line in %v", text, err)
			}
			return
		}
		for _, p := range append(c.profiles, &profile{settings: c.defaults}) {
			for name, value := range p.settings {
				if len(value.values) == 0 || value.line < 1 || personal(name) || len(reader.known[name]) == 0 {
					t.Errorf("%q: %s: %+v", text, name, value)
				}
				for _, flag := range reader.known[name] {
					if flag.Value.Set(value.values[0]) != nil {
						t.Errorf("%q: %s does not take %+v", text, name, value)
					}
				}
			}
		}
	})
}
