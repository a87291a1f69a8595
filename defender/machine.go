package defender

import (
	"strings"
	"time"
)

// Values of a machine's onboarding status. There is none for a machine that was
// offboarded: it goes on being shown as onboarded.
const (
	Onboarded        = "Onboarded"
	CanBeOnboarded   = "CanBeOnboarded"
	Unsupported      = "Unsupported"
	InsufficientInfo = "InsufficientInfo"
)

// Machine is one record of the tenant's inventory. A device that was reinstalled
// or onboarded again has several, so neither name nor Entra id is a key.
//
// Fields that an answer leaves out, or fills with something of another type, are
// zero.
type Machine struct {
	ID                     string // 40 hexadecimal digits, lower-case
	ComputerDNSName        string
	AADDeviceID            string // Entra device id; not unique, often missing
	OnboardingStatus       string // [Onboarded] and its like
	HealthStatus           string // Active, Inactive, NoSensorData, …
	OSPlatform             string
	Version                string
	AgentVersion           string
	DeviceValue            string // High, Normal or Low
	ManagedBy              string // Intune, MDE, …; who would bring its policies back
	RBACGroupID            string // a number on the wire, a string in the documentation
	RBACGroupName          string
	MachineTags            []string
	FirstSeen              time.Time
	LastSeen               time.Time // the last full report, about daily
	MergedIntoMachineID    string    // set when another record took this one's place
	IsPotentialDuplication bool
	IsExcluded             bool
	ExclusionReason        string
}

// UnmarshalJSON reads a machine as the service sends it. It fails only if data
// is not a JSON object; optional fields of a wrong type are left out.
func (m *Machine) UnmarshalJSON(data []byte) error {
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	*m = Machine{
		ID:                     strings.ToLower(o.text("id")),
		ComputerDNSName:        o.text("computerdnsname"),
		AADDeviceID:            strings.ToLower(o.text("aaddeviceid")),
		OnboardingStatus:       o.text("onboardingstatus"),
		HealthStatus:           o.text("healthstatus"),
		OSPlatform:             o.text("osplatform"),
		Version:                o.text("version"),
		AgentVersion:           o.text("agentversion"),
		DeviceValue:            o.text("devicevalue"),
		ManagedBy:              o.text("managedby"),
		RBACGroupID:            o.text("rbacgroupid"),
		RBACGroupName:          o.text("rbacgroupname"),
		MachineTags:            o.texts("machinetags"),
		FirstSeen:              o.time("firstseen"),
		LastSeen:               o.time("lastseen"),
		MergedIntoMachineID:    strings.ToLower(o.text("mergedintomachineid")),
		IsPotentialDuplication: o.truth("ispotentialduplication"),
		IsExcluded:             o.truth("isexcluded"),
		ExclusionReason:        o.text("exclusionreason"),
	}
	return nil
}
