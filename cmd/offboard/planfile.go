package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"offboard/input"
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
	// Offboarding is what is known to have been asked for before: nil: nothing.
	Offboarding *planOffboarding `json:"offboarding,omitempty"`
}

// planOffboarding is an offboarding that is under way, or how one ended.
type planOffboarding struct {
	State    string    `json:"state"`               // the journal's, or the action's status where only the tenant knows
	Campaign string    `json:"campaign,omitempty"`  // "": of nobody that the journal knows
	ActionID string    `json:"action_id,omitempty"` // where only the tenant knows
	Since    time.Time `json:"since"`
}

func (o planOffboarding) String() string {
	return strings.TrimSpace(o.State+" "+o.Campaign) + " since " + o.Since.Format(time.RFC3339)
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
	for m := range p.send.All() {
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
	for m := range list.Machines.All() {
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
	k.Offboarding = p.offboarding(k.ID)
	return k
}

// offboarding is what the journal knows of a machine, and what else the tenant does.
func (p plan) offboarding(machineID string) *planOffboarding {
	l, ok := p.records[machineID]
	if !ok {
		l, ok = p.elsewhere[machineID]
	}
	if ok {
		return &planOffboarding{State: l.State.String(), Campaign: l.Campaign, Since: l.Updated.UTC()}
	}
	if a, ok := p.standing[machineID]; ok {
		return &planOffboarding{State: a.Status, ActionID: a.ID, Since: a.Created.UTC()}
	}
	return nil
}

// list is the plan as a list that a run reads.
func (k planFile) list() *input.List {
	l := &input.List{
		Path: k.List.Path, SHA256: k.List.SHA256, Duplicates: k.List.Duplicates, BadRows: k.List.BadRows, Columns: k.Columns,
	}
	for _, m := range k.Machines {
		l.Machines.Add(m.row())
	}
	return l
}

func (m planMachine) row() input.Machine {
	return input.Machine{ID: m.ID, Name: m.Name, Comment: m.Comment, Carried: m.Carried}
}

func (k planFile) encode() ([]byte, error) {
	b, err := json.MarshalIndent(k, "", "  ")
	if err == nil && bytes.Contains(b, []byte(`\ufffd`)) {
		// Made of what is no UTF-8, and spelled otherwise once it has been read.
		var again planFile
		if err = json.Unmarshal(b, &again); err == nil {
			b, err = json.MarshalIndent(again, "", "  ")
		}
	}
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
	return replaceFileBy(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// replaceFileBy is replaceFile for what fill writes.
func replaceFileBy(path string, fill func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".offboard-*")
	if err != nil {
		return err
	}
	err = errors.Join(fill(file), file.Sync(), file.Close())
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
