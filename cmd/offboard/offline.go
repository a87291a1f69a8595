package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/pflag"

	"offboard/journal"
)

// offlineFlags find a journal without speaking to the service.
type offlineFlags struct {
	connectionFlags
	journalFlags
}

func (f *offlineFlags) bind(fs *pflag.FlagSet) {
	f.bindTenant(fs)
	f.journalFlags.bind(fs)
}

// openOffline opens an existing journal. Without --journal and --tenant it is
// the only one in the state directory.
func (a *app) openOffline(f *offlineFlags, o journal.Options) (*journal.Journal, error) {
	tenant := a.journalTenant(&f.connectionFlags)
	path, err := a.existingJournal(f, tenant)
	if err != nil {
		return nil, err
	}
	// The zero tenant never creates a journal, and takes it as it is bound.
	o.Operator = operator()
	j, err := journal.Open(path, journal.Tenant{}, o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(path, err)
	}
	if err == nil && f.tenant != "" && j.Tenant().ID != tenant.ID {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, journal.ErrForeign), j.Close())
	}
	return j, err
}

// missing tells of a journal that is not there; another error stays as it is.
func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return usageError("there is no journal at %s", path)
	}
	return err
}

func (a *app) existingJournal(f *offlineFlags, tenant journal.Tenant) (string, error) {
	if f.journal != "" || tenant.ID != "" {
		return a.journalPath(f.journal, tenant)
	}
	dir, err := stateDir(a.env.getenv)
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", usageError("%s in %s; say which with --journal or --tenant", plural(len(found), "journal"), dir)
	}
	return found[0], nil
}
