package defender

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxPage is the largest page that the service hands out, and the default.
const MaxPage = 10000

// Page is a part of a list: Top rows at most (1 to [MaxPage], 0 means MaxPage)
// after Skip rows were left out. The service promises no order, and offsets
// slide when rows come or go between two pages.
type Page struct{ Top, Skip int }

// ActionPage is a page of machine actions. Received is how many rows arrived
// before the filter was checked again: less than what was asked for means that
// there are no more.
type ActionPage struct {
	Items    []MachineAction
	Received int
}

// MachinePage is a page of machines. Received is as in [ActionPage].
type MachinePage struct {
	Items    []Machine
	Received int
}

// ActionFilter says which actions to list. Empty fields do not restrict.
type ActionFilter struct {
	ID           string // an action's id
	MachineID    string // 40 hexadecimal digits
	Type         string // such as [TypeOffboard]
	CreatedSince time.Time
}

func (f ActionFilter) odata() string {
	terms := conjunction{}
	terms.equal("id", f.ID)
	terms.equal("machineId", f.MachineID)
	terms.equal("type", f.Type)
	if !f.CreatedSince.IsZero() {
		terms = append(terms, "creationDateTimeUtc ge "+f.CreatedSince.UTC().Format("2006-01-02T15:04:05.0000000Z"))
	}
	return terms.String()
}

// matches checks the filter on what arrived. An action whose creation time is
// not readable is kept: to leave it out would be to deny that it exists.
func (f ActionFilter) matches(a MachineAction) bool {
	return equal(f.ID, a.ID) && equal(f.MachineID, a.MachineID) && equal(f.Type, a.Type) &&
		(a.Created.IsZero() || !a.Created.Before(f.CreatedSince.Truncate(100*time.Nanosecond)))
}

// decode reads one row. Without an id, or without the fields that the filter is
// about, it cannot be said whether the row is meant, and the page is unreadable.
func (f ActionFilter) decode(row json.RawMessage) (a MachineAction, meant bool, err error) {
	if err := json.Unmarshal(row, &a); err != nil {
		return a, false, err
	}
	if a.ID == "" || f.MachineID != "" && a.MachineID == "" || f.Type != "" && a.Type == "" {
		return a, false, fmt.Errorf("a row lacks its id, machine id or type")
	}
	return a, f.matches(a), nil
}

// MachineFilter says which machines to list. Empty fields do not restrict.
type MachineFilter struct {
	ID               string // 40 hexadecimal digits
	ComputerDNSName  string
	AADDeviceID      string
	OnboardingStatus string // such as [Onboarded]
}

func (f MachineFilter) odata() string {
	terms := conjunction{}
	terms.equal("id", f.ID)
	terms.equal("computerDnsName", f.ComputerDNSName)
	terms.equal("aadDeviceId", f.AADDeviceID)
	terms.equal("onboardingStatus", f.OnboardingStatus)
	return terms.String()
}

func (f MachineFilter) decode(row json.RawMessage) (m Machine, meant bool, err error) {
	if err := json.Unmarshal(row, &m); err != nil {
		return m, false, err
	}
	if !machineID.MatchString(m.ID) {
		return m, false, fmt.Errorf("a row lacks a usable machine id")
	}
	return m, equal(f.ID, m.ID) && equal(f.ComputerDNSName, m.ComputerDNSName) &&
		equal(f.AADDeviceID, m.AADDeviceID) && equal(f.OnboardingStatus, m.OnboardingStatus), nil
}

// equal says whether a value passes a term of a filter. The service compares
// ids, names and the values of its enumerations without regard to case.
func equal(want, got string) bool { return want == "" || strings.EqualFold(want, got) }

// conjunction is an OData expression whose terms all have to hold.
type conjunction []string

func (c *conjunction) equal(property, value string) {
	if value != "" {
		*c = append(*c, property+" eq '"+strings.ReplaceAll(value, "'", "''")+"'")
	}
}

func (c conjunction) String() string { return strings.Join(c, " and ") }

// query returns the query string of a page. $top is always there: with it the
// service sends no link to a next page.
func (p Page) query(filter string) string {
	q := "$top=" + strconv.Itoa(p.Top)
	if p.Skip > 0 {
		q += "&$skip=" + strconv.Itoa(p.Skip)
	}
	if filter != "" {
		// Spaces as %20: a plus sign is a plus sign to some who read OData.
		q += "&$filter=" + strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
	}
	return q
}

func (p Page) normalised() (Page, error) {
	if p.Top == 0 {
		p.Top = MaxPage
	}
	if p.Top < 1 || p.Top > MaxPage || p.Skip < 0 {
		return p, fmt.Errorf("%w: a page of %d rows after %d", ErrInput, p.Top, p.Skip)
	}
	return p, nil
}

// Machine and action ids become part of a path, so that nothing but an id passes.
var (
	machineID = regexp.MustCompile(`^[0-9a-f]{40}$`)
	actionID  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,63}$`)
)
