package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// planSchema is the version of the plan file. A file of another is refused.
const planSchema = 1

// planFile is a plan as it is kept, approved and carried out: complete, and
// without a secret. Its hash is that of the file's bytes.
type planFile struct {
	Schema    int           `json:"schema"`
	MadeBy    string        `json:"made_by"` // account@host
	MadeAt    time.Time     `json:"made_at"`
	ExpiresAt time.Time     `json:"expires_at"`
	TenantID  string        `json:"tenant_id"`
	Cloud     string        `json:"cloud"`
	AppID     string        `json:"app_id"`
	Campaign  string        `json:"campaign"`
	Comment   string        `json:"comment"`
	Rules     rules         `json:"rules"`
	List      planList      `json:"list"`
	Files     []planSource  `json:"files"` // with machines to leave out
	Onboarded int           `json:"tenant_onboarded"`
	Columns   []string      `json:"columns"`
	Machines  []planMachine `json:"machines"` // to be sent, all of them and no others
	LeftOut   []planMachine `json:"left_out"`
}

// planList is where a plan's machines came from.
type planList struct {
	planSource
	Duplicates int `json:"duplicates"`
	BadRows    int `json:"bad_rows"`
}

type planSource struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"` // none: the tenant's inventory
}

// planMachine is a machine of a plan with what was known of it.
type planMachine struct {
	ID       string        `json:"machine_id"`
	Name     string        `json:"name"`
	Comment  string        `json:"comment,omitempty"`
	Carried  []string      `json:"carried,omitempty"` // values of the columns, in their order
	Reason   string        `json:"reason,omitempty"`  // why it is left out
	Campaign string        `json:"campaign,omitempty"`
	Known    *runner.Facts `json:"known"` // null: not seen in the inventory
}

// makePlan writes down what was decided.
func (s *session) makePlan(list *input.List, p plan, f *planFlags) (planFile, error) {
	now := time.Now().UTC().Truncate(time.Second)
	valid, err := f.validity()
	if err != nil {
		return planFile{}, err
	}
	k := planFile{
		Schema: planSchema, MadeBy: operator(), MadeAt: now, ExpiresAt: now.Add(valid),
		TenantID: s.tenant.ID, Cloud: s.tenant.Cloud, AppID: s.appID, Campaign: f.campaign, Comment: p.comment, Rules: p.rules,
		List:  planList{planSource{list.Path, list.SHA256}, list.Duplicates, list.BadRows},
		Files: []planSource{}, Onboarded: p.inventory.Onboarded, Columns: append([]string{}, list.Columns...),
		Machines: []planMachine{}, LeftOut: []planMachine{},
	}
	if path, err := filepath.Abs(list.Path); err == nil && list.Path != "-" && !f.fromInventory {
		k.List.Path = path
	}
	for _, path := range p.rules.Exclude {
		sum, err := fileSHA256(path)
		if err != nil {
			return k, err
		}
		k.Files = append(k.Files, planSource{path, sum})
	}
	for _, m := range p.send {
		k.Machines = append(k.Machines, p.machine(m, leftOut{}))
	}
	rows := rowsOf(list, p)
	for _, l := range leftOuts(p) {
		k.LeftOut = append(k.LeftOut, p.machine(rows[l.MachineID], l))
	}
	return k, nil
}

// rowsOf finds every row that a plan speaks of.
func rowsOf(list *input.List, p plan) map[string]input.Machine {
	rows := map[string]input.Machine{}
	for _, m := range list.Machines {
		rows[m.ID] = m
	}
	for _, m := range p.leftOut {
		rows[m.ID] = m.Machine
	}
	return rows
}

func (p plan) machine(m input.Machine, l leftOut) planMachine {
	k := planMachine{ID: m.ID, Name: m.Name, Comment: m.Comment, Carried: m.Carried, Reason: l.Reason, Campaign: l.Campaign}
	if k.ID == "" {
		k.ID = l.MachineID
	}
	if record, ok := p.inventory.Records[k.ID]; ok {
		facts := runner.FactsOf(record)
		k.Known = &facts
	}
	if a, ok := p.standing[k.ID]; ok {
		k.Reason += " (" + a.Status + ")"
	}
	return k
}

// list is the plan as a list that a run reads.
func (k planFile) list() *input.List {
	l := &input.List{
		Path: k.List.Path, SHA256: k.List.SHA256, Duplicates: k.List.Duplicates, BadRows: k.List.BadRows, Columns: k.Columns,
	}
	for _, m := range k.Machines {
		l.Machines = append(l.Machines, m.row())
	}
	return l
}

func (m planMachine) row() input.Machine {
	return input.Machine{ID: m.ID, Name: m.Name, Comment: m.Comment, Carried: m.Carried}
}

func (k planFile) encode() ([]byte, error) {
	b, err := json.MarshalIndent(k, "", "  ")
	return append(b, '\n'), err
}

// write keeps the plan at path and returns its hash. A kill leaves the old file
// or the new one.
func (k planFile) write(path string) (string, error) {
	b, err := k.encode()
	if err != nil {
		return "", err
	}
	return sumOf(b), replaceFile(path, b)
}

// replaceFile writes a file that only its owner reads, whole or not at all.
func replaceFile(path string, b []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".offboard-*")
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func fileSHA256(path string) (string, error) {
	b, err := os.ReadFile(path) //nolint:gosec // the operator names it
	return sumOf(b), err
}

// readPlan reads a plan and its hash.
func readPlan(path string) (planFile, string, error) {
	var k planFile
	b, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return k, "", usageError("--plan: %w", err)
	}
	if err := json.Unmarshal(b, &k); err != nil {
		return k, "", usageError("%s is no plan: %w", path, err)
	}
	if k.Schema != planSchema {
		return k, "", usageError("%s is a plan of schema %d; this offboard reads %d: plan again", path, k.Schema, planSchema)
	}
	return k, sumOf(b), k.validate(path)
}

var machineID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// validate refuses what no plan of ours says.
func (k planFile) validate(path string) error {
	seen := map[string]bool{}
	for _, m := range append(append([]planMachine{}, k.Machines...), k.LeftOut...) {
		if !machineID.MatchString(m.ID) || seen[m.ID] {
			return usageError("%s is no plan: it names machine %q twice, or it is no machine id", path, m.ID)
		}
		seen[m.ID] = true
	}
	if k.Campaign == "" || k.TenantID == "" {
		return usageError("%s is no plan: it names no campaign or no tenant", path)
	}
	return nil
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
