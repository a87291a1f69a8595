package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"offboard/defender"
	"offboard/journal"
)

// stateDir is where journals and quota ledgers live for the account that runs
// the command: OFFBOARD_STATE_DIR, else the platform's place for state.
func stateDir(getenv func(string) string) (string, error) {
	if dir := getenv("OFFBOARD_STATE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, home := "", ""
	switch runtime.GOOS {
	case "windows":
		dir = getenv("LOCALAPPDATA")
	case "darwin":
		home = filepath.Join("Library", "Application Support")
	default:
		dir, home = getenv("XDG_STATE_HOME"), filepath.Join(".local", "state")
	}
	if !filepath.IsAbs(dir) {
		base, err := os.UserHomeDir()
		if err != nil {
			return "", usageError("no home directory: set OFFBOARD_STATE_DIR: %w", err)
		}
		dir = filepath.Join(base, home)
	}
	return filepath.Join(dir, "offboard"), nil
}

var notInFileName = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func fileName(s string) string { return notInFileName.ReplaceAllString(s, "_") }

// journalPath is --journal, or the tenant's own journal in the state directory.
func (a *app) journalPath(explicit string, t journal.Tenant) (string, error) {
	if explicit != "" {
		return filepath.Abs(explicit)
	}
	dir, err := stateDir(a.env.getenv)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, fileName(t.ID)+"-"+fileName(t.Cloud)+".journal"), nil
}

// ledgerPath is the quota ledger of one app and API in a tenant: the service
// counts by these three.
func (a *app) ledgerPath(t journal.Tenant, appID, api string) (string, error) {
	dir, err := stateDir(a.env.getenv)
	if err != nil {
		return "", err
	}
	if appID == "" {
		appID = "unknown-app"
	}
	return filepath.Join(dir, "quota", fileName(t.ID)+"-"+fileName(t.Cloud)+"-"+fileName(appID)+"-"+api+".ledger"), nil
}

// cloudName tells journals apart: a cloud's name, or the host of an API that is
// nobody's cloud.
func (f *connectionFlags) cloudName() string {
	u, err := url.Parse(f.apiURL)
	if err != nil || u.Host == "" {
		return strings.ToLower(f.cloud)
	}
	for _, name := range []string{"public", "gcc", "gcc-high"} {
		cloud, err := defender.ParseCloud(name)
		if err == nil && isHostOf(cloud, u.Hostname()) {
			return name
		}
	}
	return u.Host
}

// cloudFlags are the flags that cloudName makes this name of.
func cloudFlags(name string) []string {
	switch {
	case name == "public":
		return nil
	case strings.ContainsAny(name, ".:"):
		return []string{"--api-url", "https://" + name}
	default:
		return []string{"--cloud", name}
	}
}

// isHostOf says whether a cloud or one of its regions answers at this host.
func isHostOf(cloud defender.Cloud, host string) bool {
	u, err := url.Parse(cloud.APIURL)
	return err == nil && (host == u.Host || strings.HasSuffix(host, "."+u.Host))
}

// journalTenant is what a journal is bound to, as far as flags and environment
// say. A ready token names its tenant itself.
func (a *app) journalTenant(f *connectionFlags) journal.Tenant {
	id := f.tenant
	if id == "" {
		id = a.env.getenv("AZURE_TENANT_ID")
	}
	if id == "" {
		id = defender.ParseClaims(defender.AuthFromEnv(a.env.getenv).GivenToken()).TenantID
	}
	return journal.Tenant{ID: strings.ToLower(id), Cloud: f.cloudName()}
}
