package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// Finding is what the inventory shows of a machine some time after it was
// offboarded. Its onboarding status says nothing: an offboarded machine goes on
// being shown as onboarded.
type Finding string

// The findings.
const (
	Silent    Finding = "silent"    // not seen since it was offboarded, give or take a daily report
	Gone      Finding = "gone"      // the inventory has no record of it
	TooEarly  Finding = "too_early" // offboarded less than two days ago
	Reporting Finding = "reporting" // seen since
	Returned  Finding = "returned"  // the device is back under another id
)

const (
	// reportGrace is how long after its offboarding the last report of a device
	// may be dated: the service takes in full reports about daily.
	reportGrace = 24 * time.Hour
	// earliestVerdict is when silence begins to mean something.
	earliestVerdict = 2 * reportGrace
)

// Verified is what was found of one machine.
type Verified struct {
	MachineID  string        `json:"machine_id"`
	Name       string        `json:"name"`
	State      journal.State `json:"state"`
	Finding    Finding       `json:"finding"`
	Offboarded time.Time     `json:"offboarded_at"` // when its action succeeded, else when it was sent
	LastSeen   time.Time     `json:"last_seen,omitzero"`
	NewID      string        `json:"new_id,omitempty"` // with Returned
}

// Good says that the machine is as it should be: silent after an offboarding, and
// reporting after one that was cancelled. A silent one was carried out, whatever
// its action says, or is off.
func (v Verified) Good() bool {
	if v.State == journal.Cancelled {
		return v.Finding == Reporting
	}
	return v.Finding == Silent || v.Finding == Gone
}

// Verify compares the machines of a campaign that were sent with the tenant's
// inventory, in list order. The error is as that of [Directory.ReadInventory],
// or the journal's.
func (d *Directory) Verify(ctx context.Context, entries iter.Seq2[journal.Entry, error]) ([]Verified, error) {
	sent, err := sentIn(entries)
	if err != nil || len(sent) == 0 {
		return nil, err
	}
	records, err := d.readRecords(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	found := make([]Verified, len(sent))
	for i, e := range sent {
		v := Verified{MachineID: e.MachineID, Name: e.Name, State: e.State, Offboarded: offboardedAt(e)}
		records.judge(&v, now)
		found[i] = v
	}
	return found, nil
}

// sentIn are the machines that the service has, or had, an action for.
func sentIn(entries iter.Seq2[journal.Entry, error]) ([]journal.Entry, error) {
	var sent []journal.Entry
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		switch e.State {
		case journal.Accepted, journal.Succeeded, journal.Failed, journal.TimedOut, journal.Cancelled:
			sent = append(sent, e)
		default: // nothing that could show in the inventory
		}
	}
	slices.SortFunc(sent, func(a, b journal.Entry) int { return cmp.Compare(a.Row, b.Row) })
	return sent, nil
}

// offboardedAt goes by the service's clock where it can.
func offboardedAt(e journal.Entry) time.Time {
	var a defender.MachineAction
	if json.Unmarshal(e.Action, &a) == nil {
		if e.State == journal.Succeeded && !a.LastUpdated.IsZero() {
			return a.LastUpdated
		}
		if !a.Created.IsZero() {
			return a.Created
		}
	}
	return cmp.Or(e.Sent, e.Updated)
}

// records is the inventory, arranged to find a device that has come back.
type records struct {
	byID             map[string]defender.Machine
	byName, byDevice map[string][]string // ids
}

func (d *Directory) readRecords(ctx context.Context) (records, error) {
	r := records{map[string]defender.Machine{}, map[string][]string{}, map[string][]string{}}
	_, err := d.ReadInventory(ctx, func(m defender.Machine) bool {
		// Of the record no more is needed.
		r.byID[m.ID] = defender.Machine{ID: m.ID, ComputerDNSName: m.ComputerDNSName, AADDeviceID: m.AADDeviceID, FirstSeen: m.FirstSeen, LastSeen: m.LastSeen}
		if name := strings.ToLower(m.ComputerDNSName); name != "" {
			r.byName[name] = append(r.byName[name], m.ID)
		}
		if m.AADDeviceID != "" {
			r.byDevice[m.AADDeviceID] = append(r.byDevice[m.AADDeviceID], m.ID)
		}
		return false
	})
	return r, err
}

func (r records) judge(v *Verified, now time.Time) {
	m, ok := r.byID[v.MachineID]
	v.LastSeen = m.LastSeen
	newID := r.successor(m, *v)
	switch {
	case newID != "":
		v.Finding, v.NewID = Returned, newID
	case !ok:
		v.Finding = Gone
	case m.LastSeen.Sub(v.Offboarded) > reportGrace:
		v.Finding = Reporting
	case now.Sub(v.Offboarded) < earliestVerdict:
		v.Finding = TooEarly
	default:
		v.Finding = Silent
	}
}

// successor is the record under which the device was onboarded again, "" if
// there is none: one of the same Entra device or name that appeared later.
func (r records) successor(m defender.Machine, v Verified) string {
	name := strings.ToLower(cmp.Or(m.ComputerDNSName, v.Name))
	for _, id := range slices.Concat(r.byDevice[m.AADDeviceID], r.byName[name]) {
		if other := r.byID[id]; id != v.MachineID && other.FirstSeen.After(v.Offboarded) {
			return id
		}
	}
	return ""
}
