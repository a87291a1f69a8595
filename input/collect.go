package input

import (
	"fmt"
	"strings"
)

// record is what a row says of its machine and is not carried. The tags are the names that gocsv is given.
type record struct {
	ID      string `csv:"id"`
	Name    string `csv:"name"`
	Comment string `csv:"comment"`
}

// parsedID is the id of a record as the set of ids takes it.
type parsedID struct {
	key    idKey
	hash   uint64
	text   string // in lower case, "" when there is none
	reason string // why it is none
}

// collector turns records into the machines of a list.
type collector struct {
	o       Options
	list    *List
	columns *columns // the parser's until it has ended
	rejects *rejects
	seen    *idSet
	ids     []parsedID // of the rows that are being added
	arena   []string   // room for carried values, so that a row does not cost an allocation of its own
	part    float64    // of the file that had been read after the rows that are being added, 0 when unknown
}

func newCollector(path string, o Options) *collector {
	return &collector{
		o:       o,
		list:    &List{Path: path},
		columns: newColumns(),
		rejects: newRejects(path, o.Rejects),
		seen:    newIDSet(),
	}
}

// add takes a row. carried holds its values of the carried columns and is copied.
func (c *collector) add(at *row, r *record, id *parsedID, carried []string) {
	c.list.Rows++
	if at.fault != "" {
		c.reject(at, at.fault)
		return
	}
	m := Machine{
		Name:        strings.TrimSpace(r.Name),
		AADDeviceID: strings.ToLower(strings.TrimSpace(at.aad)),
		Comment:     strings.TrimSpace(r.Comment),
		Line:        at.line,
	}
	switch {
	case id.reason != "":
		c.reject(at, id.reason)
		return
	case id.text == "":
		c.addUnresolved(at, m, carried)
		return
	case !c.seen.add(&id.key, id.hash):
		c.list.Duplicates++
		return
	}
	m.ID = id.text
	if !c.o.IncludeNotOnboarded && leftOut(at.onboarding) {
		m.Carried = c.keep(carried)
		c.list.NotOnboarded = append(c.list.NotOnboarded, m)
		return
	}
	m.Carried = withoutEmpty(carried)
	c.makeRoom()
	c.list.Machines.Add(m)
}

func (c *collector) addUnresolved(at *row, m Machine, carried []string) {
	named := m.Name != "" || m.AADDeviceID != ""
	switch {
	case !named:
		c.reject(at, "the machine id is missing")
	case !c.o.Resolve:
		c.reject(at, "the machine id is missing; it can be looked up with --resolve")
	case !c.o.IncludeNotOnboarded && leftOut(at.onboarding):
		m.Carried = c.keep(carried)
		c.list.NotOnboarded = append(c.list.NotOnboarded, m)
	default:
		m.Carried = c.keep(carried)
		c.list.Unresolved = append(c.list.Unresolved, m)
	}
}

// reject counts a row that cannot be used.
func (c *collector) reject(at *row, reason string) {
	if at.element > 0 {
		reason = fmt.Sprintf("element %d: %s", at.element, reason)
	}
	c.rejects.add(at.line, at.column, reason)
}

// makeRoom makes room for one more machine at least, and for its id.
// Doubling would hold the list twice just when it is largest; the part of the file that was read tells how much room the rest needs.
func (c *collector) makeRoom() {
	const fewest = 1024 // below that the part read is mostly what was buffered ahead
	have := c.list.Machines.Len()
	if have < cap(c.list.Machines.at) || have < fewest || c.part <= 0 || c.part >= 1 {
		return
	}
	more := int(min(float64(have)*(1/c.part-1)*1.02, float64(have)*64)) + 64
	c.seen.grow(more)
	c.list.Machines.Grow(more)
}

// withoutEmpty returns values without the empty ones at the end.
func withoutEmpty(values []string) []string {
	for len(values) > 0 && values[len(values)-1] == "" {
		values = values[:len(values)-1]
	}
	return values
}

// keep copies carried values into the arena, without the empty ones at the end.
func (c *collector) keep(values []string) []string {
	values = withoutEmpty(values)
	if len(values) == 0 {
		return nil
	}
	if len(c.arena)+len(values) > cap(c.arena) {
		c.arena = make([]string, 0, max(len(values), min(4096, 64+8*c.list.Machines.Len())))
	}
	from := len(c.arena)
	c.arena = append(c.arena, values...)
	return c.arena[from:len(c.arena):len(c.arena)]
}

// leftOut says that a status is known and is not Onboarded. Exports write "Can be onboarded", the API "CanBeOnboarded".
func leftOut(status string) bool {
	status = strings.ReplaceAll(strings.TrimSpace(status), " ", "")
	return status != "" && !strings.EqualFold(status, "Onboarded")
}

// finish returns the list, or why it is none.
func (c *collector) finish() (*List, error) {
	c.list.Portal = c.columns.portal()
	c.list.Columns = c.columns.carried
	c.list.Bad, c.list.BadRows = c.rejects.first, c.rejects.total
	if c.list.Rows > 0 && c.list.Rows == c.list.BadRows && len(c.columns.spelled) > 0 {
		// Of a JSON list only the end tells which columns it does not have.
		if err := c.columns.identify(0, c.o.Resolve); err != nil {
			return nil, inFile(err, c.list.Path)
		}
	}
	switch {
	case c.list.Rows == 0:
		return nil, &Error{File: c.list.Path, Reason: "the list has no rows", Err: ErrEmpty}
	case c.list.BadRows > 0 && !c.o.SkipBadRows:
		return nil, &BadRowsError{File: c.list.Path, Rows: c.list.Bad, Total: c.list.BadRows}
	}
	return c.list, nil
}
