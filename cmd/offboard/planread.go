package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"

	"offboard/journal"
	"offboard/runner"
)

// maxPlan bounds a plan in bytes; one of a hundred thousand machines is smaller.
const maxPlan = 128 << 20

// readPlan reads a plan and its hash, which is of the very bytes that were read.
func readPlan(path string) (planFile, string, error) {
	b, err := readUpTo(path, maxPlan)
	if err != nil {
		return planFile{}, "", usageError("the plan: %w", err)
	}
	k, err := parsePlan(b)
	if err != nil {
		return k, "", usageError("%s is no plan: %w", path, err)
	}
	return k, sumOf(b), nil
}

// readUpTo reads a regular file, or one that a link leads to, which is no larger
// than most bytes.
func readUpTo(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, most)
	}
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(file, most))
	return b, errors.Join(err, file.Close())
}

// parsePlan takes a plan only as it was written, byte by byte: a field that this
// program does not know, one that is there twice, or a plan that was put into
// another form may tell its reader something else than what would be done.
func parsePlan(b []byte) (k planFile, err error) {
	var version struct{ Schema int }
	if err := json.Unmarshal(b, &version); err != nil {
		return k, err
	}
	if version.Schema != planSchema {
		return k, fmt.Errorf("it has schema %d, and this offboard reads %d: plan again", version.Schema, planSchema)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		return k, err
	}
	written, err := k.encode()
	if err == nil && !bytes.Equal(b, written) {
		err = errors.New("it is not as 'offboard plan' has written it: take the original")
	}
	return k, errors.Join(err, k.validate())
}

var machineID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// validate refuses what no plan of ours says.
func (k planFile) validate() error {
	seen := map[string]bool{}
	for _, m := range append(append([]planMachine{}, k.Machines...), k.LeftOut...) {
		if !machineID.MatchString(m.ID) || seen[m.ID] {
			return fmt.Errorf("it names machine %q twice, or that is no machine id", m.ID)
		}
		seen[m.ID] = true
	}
	if k.TenantID == "" {
		return errors.New("it names no tenant")
	}
	return runner.ValidateCampaignName(k.Campaign)
}

// bound refuses a plan that was made for somewhere else.
func (k planFile) bound(t journal.Tenant) error {
	if t.ID != "" && !strings.EqualFold(t.ID, k.TenantID) || t.Cloud != k.Cloud {
		return guardError("plan again for this tenant", "the plan is for tenant %s of %s, not for %s of %s; nothing was sent", k.TenantID, k.Cloud, t.ID, t.Cloud)
	}
	return nil
}

// unchanged refuses a plan whose list has another content by now. A list that
// has gone is none the worse: the plan has all of it.
func (k planFile) unchanged() error {
	if k.List.SHA256 == "" || k.List.Path == "-" {
		return nil
	}
	sum, err := fileSHA256(k.List.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the plan's list: %w", err)
	case sum != k.List.SHA256:
		return guardError("plan again", "the list %s has changed since the plan was made; nothing was sent", k.List.Path)
	}
	return nil
}

// writableByOthers says whether another account than the owner's may change a file.
// Windows has no such bits.
func writableByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0
}

// unguarded warns about what may have been changed since somebody decided about
// the plan.
func (a *app) unguarded(f *runFlags, k planFile) {
	if f.planSHA256 == "" && writableByOthers(f.planPath) {
		a.log.Warn().Str("plan", f.planPath).Msg("other accounts may change the plan; --plan-sha256 with the hash that was decided about keeps it as it was")
	}
	for _, file := range k.Files { // one that is gone stops the run
		if sum, err := fileSHA256(file.Path); err == nil && sum != file.SHA256 {
			a.log.Warn().Str("exclude", file.Path).Msg("a list of machines to leave out has changed since the plan was made: what it leaves out now has drifted, and what it no longer names stays left out")
		}
	}
}
