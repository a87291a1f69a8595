package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"offboard/defender"
)

// ownCredentials say where the secret of a profile's app is. What a profile names is all
// that its tenant is signed in to with: the secret that the environment holds may be
// that of another tenant.
type ownCredentials struct {
	line                           int
	secretFile, secretVariable     string
	certificate                    string
	passwordFile, passwordVariable string
	lines                          map[string]int
}

// fields are the keys of the section, and whether each names a file.
func (c *ownCredentials) fields() map[string]struct {
	value *string
	file  bool
} {
	type field = struct {
		value *string
		file  bool
	}
	return map[string]field{
		"client-secret-file": {&c.secretFile, true}, "client-secret-variable": {&c.secretVariable, false},
		"certificate-file":          {&c.certificate, true},
		"certificate-password-file": {&c.passwordFile, true}, "certificate-password-variable": {&c.passwordVariable, false},
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readCredentials repeats no value: it may be the secret itself, in the wrong place.
func readCredentials(key, value *yaml.Node) (*ownCredentials, error) {
	if value.Kind != yaml.MappingNode {
		return nil, atLine(key, "credentials is to be a mapping")
	}
	c := &ownCredentials{line: key.Line, lines: map[string]int{}}
	fields := c.fields()
	err := eachKey(value, func(key, value *yaml.Node) error {
		field, known := fields[key.Value]
		if !known {
			return unknownCredential(key)
		}
		text, err := textOf(key, value)
		switch {
		case err != nil:
			return err
		case field.file && !filepath.IsAbs(text):
			return atLine(key, "%s is to be the absolute path of a file that holds it", key.Value)
		case !field.file && !variableName.MatchString(text):
			return atLine(key, "%s is to be the name of a variable that holds it", key.Value)
		}
		*field.value, c.lines[key.Value] = text, key.Line
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, c.check(key)
}

func unknownCredential(key *yaml.Node) error {
	if key.Value == "client-secret" || key.Value == "certificate-password" {
		return atLine(key, "a secret has no place here: put it into a file that only you can read, or into a variable, and name that as %s-file or %s-variable", key.Value, key.Value)
	}
	names := []string{}
	for name := range new(ownCredentials).fields() {
		names = append(names, name)
	}
	return atLine(key, "there is no credential %q%s", key.Value, didYouMean(key.Value, names))
}

// check wants one secret, and no password but a certificate's.
func (c *ownCredentials) check(key *yaml.Node) error {
	kinds := 0
	for _, value := range []string{c.secretFile, c.secretVariable, c.certificate} {
		if value != "" {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return atLine(key, "credentials name one of client-secret-file, client-secret-variable and certificate-file")
	case c.passwordFile+c.passwordVariable != "" && c.certificate == "":
		return atLine(key, "a certificate-password goes with a certificate-file")
	case c.passwordFile != "" && c.passwordVariable != "":
		return atLine(key, "the certificate's password is in a file or in a variable, not in both")
	}
	return nil
}

// complete refuses credentials of nobody: they are those of an app in a tenant.
func (p *profile) complete() error {
	for _, name := range []string{"tenant", "client-id"} {
		if _, ok := p.settings[name]; !ok && p.credentials != nil {
			return &lineError{p.credentials.line, fmt.Errorf("the profile %s has credentials and no %s", p.name, name)}
		}
	}
	return nil
}

// agrees refuses to take a profile for another tenant than its own, and its
// credentials for another app, whoever names that: what else the profile says
// would be said of the wrong one.
func (p *profile) agrees(file string, flags *pflag.FlagSet, getenv func(string) string) error {
	for _, name := range []string{"tenant", "client-id"} {
		own, ok := p.settings[name]
		if !ok || name == "client-id" && p.credentials == nil {
			continue
		}
		f := flags.Lookup(name)
		if f == nil {
			continue
		}
		other, by := f.Value.String(), originOf(f).words()
		if other == "" && name == "tenant" {
			other, by = getenv(azureVariable[name]), "environment "+azureVariable[name]
		}
		if other != "" && !strings.EqualFold(other, own.values[0]) {
			return &commandError{
				code: exitUsage, err: fmt.Errorf("the profile %s is that of the %s %s (%s:%d), and not of %s (%s)", p.name, name, own.values[0], file, own.line, other, by),
				hint: "choose another profile with --profile, or leave out the other " + name + "; nothing was sent",
			}
		}
	}
	return nil
}

// auth is how to sign in as far as the profile or, where it names no credentials,
// the environment says.
func (a *app) auth() (defender.AuthConfig, error) {
	if a.config.profile == nil || a.config.profile.credentials == nil {
		return defender.AuthFromEnv(a.env.getenv), nil
	}
	c := a.config.profile.credentials
	config := defender.AuthConfig{ClientSecretFile: c.secretFile, CertificatePath: c.certificate, CertificatePasswordFile: c.passwordFile}
	for _, v := range []struct {
		key, name string
		value     *string
	}{
		{"client-secret-variable", c.secretVariable, &config.ClientSecret},
		{"certificate-password-variable", c.passwordVariable, &config.CertificatePassword},
	} {
		if *v.value = a.env.getenv(v.name); v.name != "" && *v.value == "" {
			// Without its secret another way to sign in would be chosen. The name is not
			// repeated: it may be the secret itself, in the wrong place.
			return config, usageError("%s:%d: the variable that %s names is not set", a.config.file.Path, c.lines[v.key], v.key)
		}
	}
	return config, nil
}
