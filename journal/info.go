package journal

import (
	"encoding/json"
	"iter"
	"time"
)

// Tenant is what a journal is bound to.
type Tenant struct {
	ID    string `json:"tenant"` // the tenant's id, compared without regard to case
	Cloud string `json:"cloud"`  // such as "public"
}

// ListInfo is where a campaign's machines came from.
type ListInfo struct {
	Path       string `json:"path"`
	SHA256     string `json:"sha256"` // of the list's bytes, hexadecimal
	Machines   int    `json:"machines"`
	Duplicates int    `json:"duplicates"`
	BadRows    int    `json:"bad_rows"`
}

// Info describes a campaign.
type Info struct {
	Name    string          `json:"name"`
	Comment string          `json:"comment,omitempty"` // sent with every machine that has none of its own; never changes once set
	Rules   json.RawMessage `json:"rules,omitempty"`   // the caller's; the journal only keeps them
	// Columns are the carried columns of the list, made distinct.
	Columns    []string  `json:"columns,omitempty"`
	List       ListInfo  `json:"list"`
	Created    time.Time `json:"created"`
	Updated    time.Time `json:"updated"`
	Enlisted   bool      `json:"enlisted"`             // a list was taken to its end
	Operator   string    `json:"operator,omitempty"`   // who started it, from Options.Operator
	TenantRead time.Time `json:"tenant_read,omitzero"` // when the tenant's actions were listed before the first send
	// LastRun is the caller's account of the last run; the journal only keeps
	// it.
	LastRun json.RawMessage `json:"last_run,omitempty"`
}

// Machine is one row of a list.
type Machine struct {
	ID      string // 40 hexadecimal digits
	Name    string
	Comment string
	Carried []string // values of Enlistment.Columns, in that order; may be shorter
	Exclude string   // why the machine is left out; empty: it is to be sent
	Row     int      // its place among the campaign's machines; 0: that in the list
}

// Enlistment is a list on its way into a campaign. Of machines with the same id
// the first counts.
type Enlistment struct {
	List    ListInfo
	Columns []string
	// Machines are gone through several times. In the order of their ids they take no
	// memory; in any other they are kept and sorted.
	Machines iter.Seq[Machine]
}

// Enlisted says what taking a list changed. Every machine of the list or of the
// campaign is counted in exactly one of the fields.
type Enlisted struct {
	Added     int `json:"added"`     // new to the campaign
	Refreshed int `json:"refreshed"` // planned or excluded as before, with other details
	Excluded  int `json:"excluded"`  // were planned; left the list or are excluded by it
	Returned  int `json:"returned"`  // were excluded, planned again
	Unchanged int `json:"unchanged"` // all others, with those that may be sent already whatever the list says of them
}
