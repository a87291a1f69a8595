package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"offboard/runner"
)

// policy is what this machine asks of every run, whatever its flags say. A nil
// policy asks for nothing.
//
// It is not merged into the rules of the run: each judges the list by itself,
// and a machine is sent when both let it through. So no flag can loosen it, and
// a campaign keeps the rules that were given for it and no others.
type policy struct {
	policyMark
	guard      runner.Guard
	max        int     // 0: no bound
	maxPercent float64 // of the tenant; 0: no bound
	bounds     budgetFlags
	ticket     string // pattern, "": none is asked for
	isTicket   *regexp.Regexp

	requirePlan, requireApproval bool
}

// policyMark says which policy a campaign was judged by.
type policyMark struct {
	fileMark
	Exclude []fileMark `json:"exclude,omitempty"` // the lists that it names
}

// fileMark is a file, and the SHA-256 of its bytes.
type fileMark struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// policyPlace is where the policy is, and who may own it beside root.
type policyPlace struct {
	path  string
	owner int // numeric user id; not looked at on Windows
}

// machinePolicy is the place that is the same for everybody on this machine.
func machinePolicy() (policyPlace, error) {
	dir, err := machineDirectory()
	return policyPlace{path: filepath.Join(dir, "offboard", "policy.yaml")}, err
}

// inForce returns the machine's policy, nil if there is none. It is read once, so
// that a run has one policy from its first decision to its last.
func (a *app) inForce(ctx context.Context) (*policy, error) {
	if a.policyRead || a.env.policy == nil {
		return a.policy, nil
	}
	place, err := a.env.policy()
	if err != nil {
		return nil, policyFault(err)
	}
	p, err := readPolicy(ctx, place)
	if err != nil {
		return nil, err
	}
	a.policy, a.policyRead = p, true
	if p == nil {
		return nil, nil //nolint:nilnil // see above
	}
	a.log.Info().Str("policy", p.Path).Str("sha256", p.SHA256).Msg("the machine's policy applies")
	return p, nil
}

// readPolicy reads the policy and the lists that it names. Only a file that does
// not exist is no policy; anything else that is wrong stops every run.
func readPolicy(ctx context.Context, place policyPlace) (*policy, error) {
	p, err := decodePolicy(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no policy
	}
	if err == nil {
		err = p.readLists(ctx, place.owner)
	}
	if err != nil {
		return nil, policyFault(fmt.Errorf("%s: %w", place.path, err))
	}
	return p, nil
}

func policyFault(err error) error {
	return guardError("nothing was sent, and no run begins on this machine before the policy is put right", "the machine's policy: %w", err)
}

func decodePolicy(place policyPlace) (*policy, error) {
	if err := trusted(place.path, place.owner); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(place.path)
	if err != nil {
		return nil, err
	}
	p, err := parsePolicy(text)
	if err != nil {
		return nil, err
	}
	p.fileMark = fileMark{place.path, sumOf(text)}
	return p, nil
}

// readLists reads the lists of machines to leave out.
func (p *policy) readLists(ctx context.Context, owner int) error {
	for i, list := range p.Exclude {
		err := trusted(list.Path, owner)
		if err == nil {
			var protection runner.Protection
			protection, p.Exclude[i].SHA256, err = readProtection(ctx, list.Path)
			p.guard.Protected = append(p.guard.Protected, protection)
		}
		if err != nil {
			// Not by %w: a list that is missing is no missing policy.
			return fmt.Errorf("exclude: %v", err) //nolint:errorlint // see above
		}
	}
	return nil
}

// trusted refuses a file that others than root and the owner could have changed,
// by itself or by its directory. A link is refused whatever it leads to: what it
// leads through would have to be looked at too.
func trusted(path string, owner int) error {
	dir, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return err
	}
	file, err := os.Lstat(path)
	switch {
	case !dir.IsDir():
		return fmt.Errorf("%s is no directory, or a link to one", filepath.Dir(path))
	case stranger(dir, owner) != "":
		return fmt.Errorf("the directory %s %s", filepath.Dir(path), stranger(dir, owner))
	case err != nil:
		return err
	case !file.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file, or a link to one", path)
	case stranger(file, owner) != "":
		return fmt.Errorf("%s %s", path, stranger(file, owner))
	}
	return nil
}
