package runner

import (
	"strings"
	"time"

	"offboard/defender"
)

// Facts is what the inventory tells a person who has to decide about a machine.
type Facts struct {
	Name                 string    `json:"name"`
	OSPlatform           string    `json:"os_platform"`
	Version              string    `json:"version,omitempty"`
	Health               string    `json:"health,omitempty"`
	Onboarding           string    `json:"onboarding,omitempty"`
	LastSeen             time.Time `json:"last_seen,omitzero"` // the last full report
	Tags                 []string  `json:"tags,omitempty"`
	Group                string    `json:"group,omitempty"`
	Value                string    `json:"value,omitempty"`
	ManagedBy            string    `json:"managed_by,omitempty"`
	MergedInto           string    `json:"merged_into,omitempty"` // the record that took this one's place
	PotentialDuplication bool      `json:"potential_duplication,omitempty"`
}

// FactsOf takes the facts from an inventory record.
func FactsOf(m defender.Machine) Facts {
	return Facts{
		Name: m.ComputerDNSName, OSPlatform: m.OSPlatform, Version: m.Version, Health: m.HealthStatus,
		Onboarding: m.OnboardingStatus, LastSeen: m.LastSeen.UTC(), Tags: m.MachineTags, Group: m.RBACGroupName,
		Value: m.DeviceValue, ManagedBy: m.ManagedBy, MergedInto: m.MergedIntoMachineID,
		PotentialDuplication: m.IsPotentialDuplication,
	}
}

// Awake is how long ago a device may last have reported to count as awake, and to
// act within minutes. A full report comes about daily.
const Awake = 48 * time.Hour

// Awake says whether the device is likely to act at once.
func (f Facts) Awake(now time.Time) bool { return !f.LastSeen.IsZero() && now.Sub(f.LastSeen) < Awake }

// Server says whether the platform is one.
func (f Facts) Server() bool { return serverPlatform(f.OSPlatform) }

// Windows says whether the platform is one. What is not named is taken for it:
// it is a warning, and the service decides.
func (f Facts) Windows() bool {
	return f.OSPlatform == "" || strings.HasPrefix(strings.ToLower(f.OSPlatform), "windows")
}

// HighValue says whether somebody has marked the device so.
func (f Facts) HighValue() bool { return strings.EqualFold(f.Value, "High") }

// Managed says whether a policy of a management service would onboard the
// device again.
func (f Facts) Managed() bool {
	return f.ManagedBy != "" && !strings.EqualFold(f.ManagedBy, "Unknown")
}

// Duplicate says whether the device has, or may have, another record.
func (f Facts) Duplicate() bool { return f.MergedInto != "" || f.PotentialDuplication }
