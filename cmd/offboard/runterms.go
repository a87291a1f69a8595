package main

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// runTerms are what a run was carried out with, for the campaign's report. The
// journal keeps them with the account of the run.
type runTerms struct {
	AppID     string       `json:"app_id"`
	Version   string       `json:"version"`             // of the tool
	Limits    []runLimit   `json:"limits"`              // after the share
	Overrides []string     `json:"overrides,omitempty"` // what a person gave beyond the defaults
	Excludes  []planSource `json:"exclude_files,omitempty"`
}

type runLimit struct {
	Seconds int `json:"per_seconds"`
	Limit   int `json:"limit"`
}

// overriding are the flags by which a person lets a run do more, or ask less, than it
// does by itself.
var overriding = []string{
	"include-servers", "include-not-onboarded", "on-bad-row", "ambiguous", "new-journal", "yes",
	"retry", "retry-of", "again", "reason", "on-drift", "wave-on-timeout",
}

// overridesOf are those of the flags that were given, and say so.
func overridesOf(flags *pflag.FlagSet) (given []string) {
	flags.Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		if !slices.Contains(overriding, f.Name) || value == f.DefValue {
			return
		}
		if f.Value.Type() == "bool" {
			given = append(given, "--"+f.Name)
			return
		}
		given = append(given, "--"+f.Name+" "+value)
	})
	return given
}

// terms are this run's.
func (s *session) terms() runTerms {
	t := s.given
	t.AppID, t.Version = s.appID, versionString()
	for _, q := range s.calls.Status().Quotas {
		t.Limits = append(t.Limits, runLimit{int(q.Per / time.Second), q.N})
	}
	return t
}

// excludedBy are the files with machines to leave out, with their hashes.
func (a *app) excludedBy(r guardRules) (files []planSource, err error) {
	for _, path := range a.excludeFiles(r) {
		sum, err := fileSHA256(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the machines were left out before it went
			sum = ""
		case err != nil:
			return nil, err
		}
		files = append(files, planSource{path, sum})
	}
	return files, nil
}
