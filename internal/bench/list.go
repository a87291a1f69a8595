package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// form is how a list is written: its rows as one line each.
type form struct{ row, before, between, after string }

var forms = map[string]form{
	"csv": {
		row:    "%s,pc-%07d.corp.example.com,owner-%04d@example.com,site-%02d,CHG-%07d,Windows11,Onboarded,2026-08-01T10:00:00Z\n",
		before: "id,name,owner,site,ticket,os,onboardingStatus,lastSeen\n",
	},
	"json":   {row: jsonRow, before: `{"value":[`, between: ",", after: "]}"},
	"ndjson": {row: jsonRow, between: "\n", after: "\n"},
}

const jsonRow = `{"id":"%s","computerDnsName":"pc-%07d.corp.example.com","owner":"owner-%04d@example.com","site":"site-%02d",` +
	`"ticket":"CHG-%07d","osPlatform":"Windows11","onboardingStatus":"Onboarded","lastSeen":"2026-08-01T10:00:00Z"}`

// list writes a list of so many machines with random ids in a form, unless it is
// there already. It returns its path.
func (b *bench) list(name string, machines int) (path string, err error) {
	path = filepath.Join(b.dir, fmt.Sprintf("machines-%d.%s", machines, name))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path) //nolint:gosec // in our own directory
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, how := bufio.NewWriter(f), forms[name]
	_, _ = w.WriteString(how.before) // Flush tells
	for i := range machines {
		if i > 0 {
			_, _ = w.WriteString(how.between)
		}
		_, _ = fmt.Fprintf(w, how.row, machineID(i), i, i%500, i%40, i)
	}
	_, _ = w.WriteString(how.after)
	return path, w.Flush()
}

func machineID(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, i))
	return fmt.Sprintf("%x", sum[:20])
}

// listBytes is how many bytes of ids, names and carried values the CSV of so many
// machines holds: all of it but separators and header.
func listBytes(path string, machines int) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size() - int64(len(forms["csv"].before)) - 8*int64(machines), nil
}
