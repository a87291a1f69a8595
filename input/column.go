package input

import (
	"fmt"
	"slices"
	"strings"
)

// role is what a column is for.
type role int

const (
	other role = iota
	idRole
	nameRole
	commentRole
	aadRole
	onboardingRole
	roles
)

// roleNames maps normalised column names to roles: the API's names, advanced hunting's and the portal's.
var roleNames = map[string]role{
	"id": idRole, "machineid": idRole, "deviceid": idRole,
	"computerdnsname": nameRole, "devicename": nameRole, "name": nameRole,
	"comment":          commentRole,
	"aaddeviceid":      aadRole,
	"onboardingstatus": onboardingRole,
}

// nameOrder says which of several name columns holds the name, since "name" may be anybody's.
var nameOrder = []string{"computerdnsname", "devicename", "name"}

// portalColumns are in every known header of a portal export, and nowhere else together. More may have been added or
// some removed by hand; a list that still has these is treated with the care that an export needs.
var portalColumns = []string{"deviceid", "devicename", "lastdeviceupdate", "exposurelevel", "onboardingstatus"}

// normalise makes "Machine ID", "machine_id" and "machineId" the same.
func normalise(column string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\u00a0', '_', '-', '\ufeff':
			return -1
		}
		return r
	}, column))
}

// columns knows what each column of a list is for.
type columns struct {
	spelled []string   // every column, trimmed
	place   []int      // per column: its place among the carried ones, -1 when it is not carried
	carried []string   // names of the carried columns, unique
	byRole  [roles]int // the column with this role, -1 when there is none
	taken   map[string]int
	rank    int // of the name column in nameOrder
}

func newColumns() *columns {
	return &columns{
		byRole: [roles]int{other: -1, idRole: -1, nameRole: -1, commentRole: -1, aadRole: -1, onboardingRole: -1},
		taken:  map[string]int{},
	}
}

// add adds the columns of a header, or the ones that a JSON object is the first to have.
func (c *columns) add(line int, names []string) error {
	if len(c.spelled)+len(names) > MaxColumns {
		return tooManyColumns(line)
	}
	from := len(c.spelled)
	for _, name := range names {
		c.spelled = append(c.spelled, strings.TrimSpace(name))
	}
	for i := from; i < len(c.spelled); i++ {
		if err := c.assign(line, i, from); err != nil {
			return err
		}
	}
	for i := from; i < len(c.spelled); i++ {
		c.place = append(c.place, c.carry(i))
	}
	return nil
}

func tooManyColumns(line int) error {
	return &Error{
		Line: line, Err: ErrTooLarge,
		Reason: fmt.Sprintf("the list has more than %d columns", MaxColumns),
		Hint:   "look for a wrong separator, or for objects whose keys are data",
	}
}

// assign gives column i its role. A better name column takes the place of another only while both are new: once rows
// were read with one, it stays.
func (c *columns) assign(line, i, from int) error {
	name := normalise(c.spelled[i])
	r := roleNames[name]
	before := c.byRole[r]
	switch {
	case r == other:
	case r == nameRole:
		rank := slices.Index(nameOrder, name)
		if before < 0 || before >= from && rank < c.rank {
			c.byRole[r], c.rank = i, rank
		}
	case before >= 0:
		return &Error{
			Line: line, Column: c.spelled[i], Err: ErrAmbiguousColumns,
			Reason: fmt.Sprintf("means the same as the column %s; there can be only one", quoted(c.spelled[before])),
			Hint:   "remove or rename one of the two",
		}
	default:
		c.byRole[r] = i
	}
	return nil
}

// carry gives column i its place among the carried ones.
func (c *columns) carry(i int) int {
	if i == c.byRole[idRole] || i == c.byRole[nameRole] || i == c.byRole[commentRole] {
		return -1
	}
	name := c.spelled[i]
	if name == "" {
		name = fmt.Sprintf("column %d", i+1)
	}
	base := name
	for n := c.taken[base]; c.taken[name] > 0; {
		n++
		name = fmt.Sprintf("%s (%d)", base, n)
		c.taken[base] = n
	}
	c.taken[name] = max(c.taken[name], 1)
	c.carried = append(c.carried, name)
	return len(c.carried) - 1
}

// spelling returns how the list spells the column of a role, "" when it has none.
func (c *columns) spelling(r role) string {
	if c.byRole[r] < 0 {
		return ""
	}
	return c.spelled[c.byRole[r]]
}

func (c *columns) portal() bool {
	have := map[string]bool{}
	for _, name := range c.spelled {
		have[normalise(name)] = true
	}
	return !slices.ContainsFunc(portalColumns, func(name string) bool { return !have[name] })
}

// identify makes sure that the rows can be told apart: by id or, when asked to resolve, by name or Entra device id.
func (c *columns) identify(line int, resolve bool) error {
	named := c.byRole[nameRole] >= 0 || c.byRole[aadRole] >= 0
	if c.byRole[idRole] >= 0 || named && resolve {
		return nil
	}
	e := &Error{
		Line: line, Err: ErrNoIDColumn,
		Reason: "no column holds machine ids: one must be called id, machineId, Machine ID, DeviceId or Device ID",
	}
	switch {
	case slices.ContainsFunc(c.spelled, looksLikeID):
		e.Hint = "the first line holds an id, not names of columns: add a header line, or keep nothing but one id a line"
	case named:
		e.Hint = "ids can be looked up by name or Entra device id: use --resolve"
	}
	return e
}
