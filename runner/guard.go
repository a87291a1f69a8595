package runner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"offboard/defender"
)

// Guard says which machines of a list may be sent. Its zero value lets all
// through that are not known to be servers.
type Guard struct {
	Protected      []Protection
	Where          []Condition   // on carried columns; all have to hold
	RequireTags    []string      // all of them
	ExcludeTags    []string      // none of them
	InactiveFor    time.Duration // not seen for so long; 0 asks for nothing
	OS             []string      // one of these platforms
	Groups         []string      // one of these device groups
	IncludeServers bool
}

// Protection names machines that must not be sent. Make it with [Protect].
type Protection struct {
	Source string // the file that says so
	ids    map[string]bool
	names  map[string]bool // lower-case
	labels map[string]bool // the first labels of the full names among them
}

// Protect protects machines by id and by name. A name protects every record
// that has it: a short one each that begins with it, a full one also the record
// that is only known by its first label.
func Protect(source string, ids, names []string) Protection {
	p := Protection{source, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, id := range ids {
		p.ids[id] = true
	}
	for _, name := range names {
		full, label := splitName(name)
		p.names[full] = true
		p.labels[label] = true
	}
	return p
}

func splitName(name string) (full, label string) {
	full = strings.ToLower(strings.TrimSpace(name))
	label, _, _ = strings.Cut(full, ".")
	return full, label
}

// Condition holds for a row whose column has one of the values, whatever their
// case.
type Condition struct {
	Column string
	Values []string
}

// Row is what a guard judges: a machine of the list with what is known of it.
type Row struct {
	ID, Name string
	Value    func(column string) string // of a carried column, "" without one
	// Record is the machine's inventory record, nil if it was not read or not
	// seen.
	Record *defender.Machine
}

// NeedsInventory names the rule that cannot be judged without the tenant's
// inventory, "" if none needs it.
func (g Guard) NeedsInventory() string {
	for _, p := range g.Protected {
		if len(p.names) > 0 {
			return "a name in " + p.Source
		}
	}
	switch {
	case len(g.RequireTags) > 0:
		return "--require-tag"
	case len(g.ExcludeTags) > 0:
		return "--exclude-tag"
	case g.InactiveFor > 0:
		return "--only-inactive"
	case len(g.OS) > 0:
		return "--os"
	case len(g.Groups) > 0:
		return "--group"
	}
	return ""
}

// Judge returns why a machine is not to be sent, "" if it may be.
func (g Guard) Judge(r Row, now time.Time) string {
	for _, p := range g.Protected {
		if p.holds(r) {
			return "protected by " + p.Source
		}
	}
	for _, c := range g.Where {
		if v := r.Value(c.Column); !containsFold(c.Values, v) {
			return fmt.Sprintf("%s is %q", c.Column, v)
		}
	}
	if !g.IncludeServers && isServer(r) {
		return "a server"
	}
	if r.Record == nil {
		if rule := g.NeedsInventory(); rule != "" {
			return "not seen in the inventory, which " + rule + " needs"
		}
		return ""
	}
	return g.judgeRecord(*r.Record, now)
}

func (g Guard) judgeRecord(m defender.Machine, now time.Time) string {
	for _, tag := range g.RequireTags {
		if !containsFold(m.MachineTags, tag) {
			return fmt.Sprintf("without the tag %q", tag)
		}
	}
	for _, tag := range g.ExcludeTags {
		if containsFold(m.MachineTags, tag) {
			return fmt.Sprintf("tagged %q", tag)
		}
	}
	switch {
	case g.InactiveFor > 0 && now.Sub(m.LastSeen) < g.InactiveFor:
		return "last seen " + m.LastSeen.UTC().Format(time.DateTime)
	case len(g.OS) > 0 && !containsFold(g.OS, m.OSPlatform):
		return fmt.Sprintf("its OS is %q", m.OSPlatform)
	case len(g.Groups) > 0 && !containsFold(g.Groups, m.RBACGroupName):
		return fmt.Sprintf("its group is %q", m.RBACGroupName)
	}
	return ""
}

func (p Protection) holds(r Row) bool {
	if p.ids[r.ID] || p.namesIt(r.Name) {
		return true
	}
	return r.Record != nil && p.namesIt(r.Record.ComputerDNSName)
}

func (p Protection) namesIt(name string) bool {
	full, label := splitName(name)
	return full != "" && (p.names[full] || p.names[label] || full == label && p.labels[label])
}

// isServer goes by the platform that the inventory or the list names. What is
// not named is not known to be a server.
func isServer(r Row) bool {
	platform := r.Value("OS Platform")
	if r.Record != nil && r.Record.OSPlatform != "" {
		platform = r.Record.OSPlatform
	}
	return serverPlatform(platform)
}

func serverPlatform(platform string) bool {
	return strings.Contains(strings.ToLower(platform), "server")
}

func containsFold(values []string, v string) bool {
	return slices.ContainsFunc(values, func(w string) bool { return strings.EqualFold(w, v) })
}
