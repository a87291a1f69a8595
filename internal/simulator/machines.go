package simulator

import (
	"cmp"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"
)

// Machine is a machine of the tenant.
type Machine struct {
	ID                     string // 40 lower-case hexadecimal digits, the only key
	ComputerDNSName        string // no key: several machines may have it
	AADDeviceID            string // Entra's device id, no key either
	OnboardingStatus       string // default Onboarded
	HealthStatus           string // default Active
	OSPlatform             string // default Windows11
	Version                string // default 24H2
	FirstSeen              time.Time
	LastSeen               time.Time
	MachineTags            []string
	RBACGroupID            int
	RBACGroupName          string
	MergedIntoMachineID    string
	IsPotentialDuplication bool
	IsExcluded             bool
	DeviceValue            string // default Normal
	ManagedBy              string // default Unknown

	Offline bool   // it cannot be reached: its actions stay Pending
	Failing bool   // its actions end Failed
	Refuse  string // the error code with which the service refuses to offboard it, "" if it does not
}

// machine is a machine and what was done to it.
type machine struct {
	Machine
	actions []*action // oldest first
}

// born makes the machine of a number, the same for the same seed.
func (s *Simulator) born(i int, now time.Time) Machine {
	d := s.draw("machine", i)
	return Machine{
		ID:              hex.EncodeToString(d[:20]),
		ComputerDNSName: fmt.Sprintf("host-%05d.fleet.example", i+1),
		AADDeviceID:     s.guid("aad device", i),
		OSPlatform:      []string{"Windows10", "Windows11", "WindowsServer2022", "Linux"}[s.pick("os", i, 4)],
		FirstSeen:       now.Add(-400 * 24 * time.Hour),
		LastSeen:        now.Add(-time.Duration(s.pick("seen", i, 24*60)) * time.Minute),
		Offline:         s.share("offline", i) < s.cfg.Offline,
		Failing:         s.share("failing", i) < s.cfg.Failing,
	}
}

// add puts a machine into the tenant or replaces the one with its id, which keeps its actions.
func (s *Simulator) add(m Machine) {
	m.OnboardingStatus = cmp.Or(m.OnboardingStatus, "Onboarded")
	m.HealthStatus = cmp.Or(m.HealthStatus, "Active")
	m.OSPlatform = cmp.Or(m.OSPlatform, "Windows11")
	m.DeviceValue = cmp.Or(m.DeviceValue, "Normal")
	m.ManagedBy = cmp.Or(m.ManagedBy, "Unknown")
	m.Version = cmp.Or(m.Version, "24H2")
	m.MachineTags = slices.Clone(m.MachineTags)
	if old := s.machines[m.ID]; old != nil {
		old.Machine = m
		return
	}
	s.machines[m.ID] = &machine{Machine: m}
	s.order = append(s.order, m.ID)
}

// AddMachine adds a machine, or replaces the one with the same id. Times that are zero mean now.
func (s *Simulator) AddMachine(m Machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	if m.FirstSeen.IsZero() {
		m.FirstSeen = now
	}
	if m.LastSeen.IsZero() {
		m.LastSeen = now
	}
	s.add(m)
}

// RemoveMachine takes a machine out of the tenant: it is not found from now on. What was done to it
// stays in the list of actions and in [Truth].
func (s *Simulator) RemoveMachine(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	delete(s.machines, id)
	s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == id })
}

// Machines returns the machines of the tenant in the order in which they were added.
func (s *Simulator) Machines() []Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Machine, len(s.order))
	for i, id := range s.order {
		list[i] = s.machines[id].Machine
		list[i].MachineTags = slices.Clone(list[i].MachineTags)
	}
	return list
}

// WriteList writes the first n machines, all of them if n is not positive, as CSV with the columns id,
// name, owner, site and ticket: a list such as somebody who retires machines would keep.
func (s *Simulator) WriteList(w io.Writer, n int) error {
	list := s.Machines()
	if n > 0 {
		list = list[:min(n, len(list))]
	}
	owners := []string{"accounts", "field sales", "workshop", "front desk", "laboratory"}
	sites := []string{"Lisbon", "Oslo", "Kraków", "Leeds"}
	out := csv.NewWriter(w)
	rows := [][]string{{"id", "name", "owner", "site", "ticket"}}
	for i, m := range list {
		owner, site := owners[s.pick("owner", i, len(owners))], sites[s.pick("site", i, len(sites))]
		rows = append(rows, []string{m.ID, m.ComputerDNSName, owner, site, fmt.Sprintf("RET-%04d", 1000+i/25)})
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write machine list: %w", err)
	}
	return nil
}

// Wake turns a machine on that could not be reached. What it has pending it carries out as if it had
// been asked for now; what the service has given up stays given up.
func (s *Simulator) Wake(machineID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	m := s.machines[machineID]
	if m == nil || !m.Offline {
		return
	}
	m.Offline, m.LastSeen = false, now
	if a := m.active(now); a != nil {
		a.steps = s.fate(m, now)
	}
}
