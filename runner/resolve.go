package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"offboard/defender"
	"offboard/input"
)

// Ambiguous says what becomes of a row that several machine records match. A
// device that was re-imaged or onboarded again has one for each time.
type Ambiguous string

// The ways to treat an ambiguous row.
const (
	RefuseAmbiguous Ambiguous = "refuse" // the default: list the candidates and stop
	NewestAmbiguous Ambiguous = "newest" // take the record seen last
	AllAmbiguous    Ambiguous = "all"    // take every record
)

// Resolved is what the tenant's inventory made of the rows without an id.
type Resolved struct {
	// Machines are the rows with the ids they were given.
	Machines []input.Machine
	// NotOnboarded are those whose records say that there is no sensor to
	// stop.
	NotOnboarded []input.Machine
	// Unmatched are the rows that no record matched.
	Unmatched []input.Machine
	// Ambiguous are the rows that several records matched, when those are
	// refused.
	Ambiguous []AmbiguousRow
}

// AmbiguousRow is a row with the machine records that match it.
type AmbiguousRow struct {
	Row        input.Machine
	Candidates []defender.Machine
}

// String says what the row matches, on one line.
func (a AmbiguousRow) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q matches %d machines: ", label(a.Row), len(a.Candidates))
	for i, m := range a.Candidates {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s %q last seen %s %q", m.ID, m.ComputerDNSName, m.LastSeen.UTC().Format(time.DateTime), m.HealthStatus)
	}
	return b.String()
}

func label(m input.Machine) string {
	if m.Name != "" {
		return m.Name
	}
	return m.AADDeviceID
}

// Resolve finds the machine ids of rows that have only a name or an Entra
// device id, by reading the tenant's whole inventory once (10,000 records a
// call). Names match whatever their case, a short name matches the first label
// of a full one, and a row with a device id is matched by that alone.
func (d *Directory) Resolve(ctx context.Context, rows []input.Machine, mode Ambiguous, includeNotOnboarded bool) (Resolved, error) {
	wanted := indexRows(rows)
	matches := make([][]defender.Machine, len(rows))
	for m, err := range d.machines(ctx, defender.MachineFilter{}) {
		if err != nil {
			return Resolved{}, fmt.Errorf("read the inventory: %w", err)
		}
		for _, i := range wanted.match(m) {
			matches[i] = append(matches[i], m)
		}
	}
	var out Resolved
	for i, row := range rows {
		out.decide(row, matches[i], mode, includeNotOnboarded)
	}
	return out, nil
}

// decide sorts one row by the records that match it.
func (out *Resolved) decide(row input.Machine, found []defender.Machine, mode Ambiguous, includeNotOnboarded bool) {
	usable := found
	if !includeNotOnboarded {
		usable = slices.DeleteFunc(slices.Clone(found), func(m defender.Machine) bool { return m.OnboardingStatus != "Onboarded" })
	}
	switch {
	case len(found) == 0:
		out.Unmatched = append(out.Unmatched, row)
	case len(usable) == 0:
		out.NotOnboarded = append(out.NotOnboarded, named(row, found[0]))
	case len(usable) > 1 && mode == NewestAmbiguous:
		newest := slices.MaxFunc(usable, func(a, b defender.Machine) int { return a.LastSeen.Compare(b.LastSeen) })
		out.Machines = append(out.Machines, named(row, newest))
	case len(usable) > 1 && mode != AllAmbiguous:
		out.Ambiguous = append(out.Ambiguous, AmbiguousRow{row, usable})
	default:
		for _, m := range usable {
			out.Machines = append(out.Machines, named(row, m))
		}
	}
}

func named(row input.Machine, m defender.Machine) input.Machine {
	row.ID = m.ID
	if row.Name == "" {
		row.Name = m.ComputerDNSName
	}
	return row
}

// rowIndex finds the rows that a machine record matches.
type rowIndex struct{ byName, byDevice map[string][]int }

func indexRows(rows []input.Machine) rowIndex {
	x := rowIndex{byName: map[string][]int{}, byDevice: map[string][]int{}}
	for i, row := range rows {
		if row.AADDeviceID != "" {
			key := strings.ToLower(row.AADDeviceID)
			x.byDevice[key] = append(x.byDevice[key], i)
			continue
		}
		key := strings.ToLower(row.Name)
		x.byName[key] = append(x.byName[key], i)
	}
	return x
}

func (x rowIndex) match(m defender.Machine) []int {
	full := strings.ToLower(m.ComputerDNSName)
	rows := slices.Clone(x.byDevice[strings.ToLower(m.AADDeviceID)])
	rows = append(rows, x.byName[full]...)
	if short, _, ok := strings.Cut(full, "."); ok {
		rows = append(rows, x.byName[short]...)
	}
	return rows
}
