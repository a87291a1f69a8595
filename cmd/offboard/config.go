package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configFlags are the configuration: the file, and the profile in it.
type configFlags struct {
	path, name string

	read    bool
	file    *configFile // nil: there is none
	profile *profile    // nil: the file's defaults alone
	taken   map[string]origin
}

func (f *configFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "config", "", "read values for flags from this YAML `file` (default: offboard/config.yaml in the account's place for configuration; /dev/null, on Windows NUL, for none)")
	fs.StringVar(&f.name, "profile", "", "take the values of this `profile` of the configuration")
}

// ownConfig is where the configuration of the account is that runs the command.
func ownConfig() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "offboard", "config.yaml"), err
}

// azureVariable is the variable that stands for a flag of which nothing else is
// said, as Azure's own tools know it.
var azureVariable = map[string]string{
	"tenant": "AZURE_TENANT_ID", "client-id": "AZURE_CLIENT_ID", "authority-url": "AZURE_AUTHORITY_HOST",
}

// configure gives the command's flags what the configuration says of them, unless a
// flag or the environment does. It is read for the commands that are about a
// tenant; a broken one keeps nobody from the others.
func (a *app) configure(cmd *cobra.Command) error {
	if cmd.Flags().Lookup("tenant") == nil {
		return nil
	}
	if err := a.readConfig(); err != nil || a.config.file == nil {
		return err
	}
	c := &a.config
	// Set so that they count as given: the command that resumes names them, and
	// with them all that they say.
	err := cmd.Flags().Set("config", c.file.Path)
	if c.profile != nil {
		if err := c.profile.agrees(c.file.Path, cmd.Flags(), a.env.getenv); err != nil {
			return err
		}
		err = errors.Join(err, cmd.Flags().Set("profile", c.profile.name), a.take(cmd, c.profile.settings, "profile "+c.profile.name))
	}
	return errors.Join(err, a.take(cmd, c.file.defaults, "defaults"))
}

// take sets the flags that nothing has been said of yet.
func (a *app) take(cmd *cobra.Command, s settings, section string) (err error) {
	plan := cmd.Flags().Lookup("plan")
	for name, value := range s {
		f := cmd.Flags().Lookup(name)
		if f == nil || f.Changed || a.azureSays(name) {
			continue
		}
		if plan != nil && plan.Changed && saidByPlan(name) {
			continue // it was made under what the file said then
		}
		for _, text := range value.values {
			err = errors.Join(err, cmd.Flags().Set(name, text))
		}
		from := origin{kind: fromFile, file: filepath.Base(a.config.file.Path), line: value.line, section: section}
		from.note(f)
		a.config.taken[name] = from
	}
	return err
}

var flagInText = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

// blame says where the values are from that an error is about, if they are the
// file's, which nobody sees on the command line.
func (f *configFlags) blame(text string) string {
	var lines []string
	for _, flag := range flagInText.FindAllString(text, -1) {
		if from, ok := f.taken[flag[2:]]; ok {
			lines = append(lines, flag+" is from the "+from.words())
		}
	}
	return strings.Join(lines, "; ")
}

// azureSays says that the environment has a value, under Azure's name for it.
func (a *app) azureSays(name string) bool {
	own := a.config.profile != nil && a.config.profile.credentials != nil
	return !own && azureVariable[name] != "" && a.env.getenv(azureVariable[name]) != ""
}

// readConfig reads the configuration once.
func (a *app) readConfig() error {
	c := &a.config
	if c.read {
		return nil
	}
	path, err := a.configPath()
	if err != nil {
		return err
	}
	if path == "" && c.name != "" {
		return usageError("there is no configuration that could have a profile %q; name its file with --config", c.name)
	}
	c.taken = map[string]origin{}
	if path != "" {
		if c.file, err = a.openConfig(path); err != nil {
			return err
		}
		c.profile, err = c.file.choose(c.name)
	}
	c.read = err == nil
	return err
}

// tellConfig logs what was read, once it is known where to.
func (a *app) tellConfig() {
	if c := a.config; c.file != nil {
		event := a.log.Debug().Str("config", c.file.Path).Str("sha256", c.file.SHA256)
		if c.profile != nil {
			event = event.Str("profile", c.profile.name)
		}
		event.Msg("configuration read")
	}
}

// configPath is where the configuration is, "" if there is none.
func (a *app) configPath() (string, error) {
	switch {
	case a.config.path == os.DevNull:
		return "", nil
	case a.config.path != "":
		return filepath.Abs(a.config.path)
	case a.env.config == nil:
		return "", nil
	}
	path, err := a.env.config()
	if err != nil {
		return "", nil //nolint:nilerr // an account without a home has none
	}
	if _, err = os.Lstat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", nil // some accounts have no directory for a home
	}
	return path, nil
}

// openConfig reads a file for the commands of this program.
func (a *app) openConfig(path string) (*configFile, error) {
	text, err := readUnspoiled(path)
	if err != nil {
		return nil, err
	}
	c, err := newConfigReader((&app{env: a.env}).rootCommand()).parse(text)
	if err != nil {
		separator := ": "
		if text := err.Error(); text != "" && text[0] >= '0' && text[0] <= '9' {
			separator = ":" // a line follows
		}
		return nil, &commandError{code: exitUsage, err: fmt.Errorf("%s%s%w", path, separator, err), hint: "nothing was done; docs/configuration.md has the keys"}
	}
	c.fileMark = fileMark{path, sumOf(text)}
	return c, nil
}

// longestConfig bounds the file, in bytes.
const longestConfig = 1 << 20

// readUnspoiled reads a file that nobody but its owner can have changed, who is root
// or runs the command: whoever writes it says which addresses secrets are sent to. Links are
// followed, as a mounted configuration is one.
func readUnspoiled(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, usageError("the configuration %s is no regular file", path)
	}
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, usageError("the configuration: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, usageError("the configuration: %w", err)
	}
	if why := stranger(info, os.Getuid()); why != "" {
		return nil, &commandError{
			code: exitUsage, err: fmt.Errorf("the configuration %s %s", path, why),
			hint: "chmod go-w it, and have it belong to root or to the account that runs the command",
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, longestConfig+1))
	switch {
	case err != nil:
		return nil, usageError("the configuration: %w", err)
	case len(text) > longestConfig:
		return nil, usageError("the configuration %s is larger than %d bytes", path, longestConfig)
	}
	return text, nil
}

// args are what names the configuration on another command line.
func (f *configFlags) args() (args []string) {
	if f.file != nil {
		args = append(args, "--config", f.file.Path)
	}
	if f.profile != nil {
		args = append(args, "--profile", f.profile.name)
	}
	return args
}

// completeProfile completes --profile.
func (a *app) completeProfile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	if a.config.path == "" {
		a.config.path = a.env.getenv(environmentName("config"))
	}
	path, err := a.configPath()
	if err != nil || path == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := a.openConfig(path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return c.names(), cobra.ShellCompDirectiveNoFileComp
}

// The places a flag's value comes from.
const (
	fromFlag        = "flag"
	fromEnvironment = "environment"
	fromFile        = "file"
	byDefault       = "default"
)

// origin is where a value comes from.
type origin struct {
	kind     string
	variable string
	file     string // without its directory
	line     int
	section  string
}

const originAnnotation = "offboard_origin"

// note keeps the origin with the flag.
func (o origin) note(f *pflag.Flag) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[originAnnotation] = []string{o.kind, o.variable, o.file, strconv.Itoa(o.line), o.section}
}

// originOf says where a flag's value comes from.
func originOf(f *pflag.Flag) origin {
	if noted := f.Annotations[originAnnotation]; len(noted) == 5 {
		line, _ := strconv.Atoi(noted[3])
		return origin{noted[0], noted[1], noted[2], line, noted[4]}
	}
	if f.Changed {
		return origin{kind: fromFlag}
	}
	return origin{kind: byDefault}
}

func (o origin) words() string { return o.shown().words() }

// choice names the profiles that could have been chosen, for the error of a command
// that lacks a tenant.
func (f *configFlags) choice() string {
	if f.file == nil || f.profile != nil || len(f.file.profiles) == 0 {
		return ""
	}
	return ", --profile " + strings.Join(f.file.names(), " or ")
}
