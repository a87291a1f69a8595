package simulator

import (
	"net/http"
	"time"
)

// wireTime is a time as the service writes it: UTC with seven digits of a second.
type wireTime time.Time

const wireLayout = "2006-01-02T15:04:05.0000000Z"

// MarshalText writes the time.
func (t wireTime) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, wireLayout), nil
}

// actionRow is an action at a time, with the keys in the order in which they were captured.
type actionRow struct {
	Context              string    `json:"@odata.context,omitempty"`
	ID                   string    `json:"id"`
	Type                 string    `json:"type"`
	Title                *string   `json:"title"`
	Requestor            string    `json:"requestor"`
	RequestorComment     string    `json:"requestorComment"`
	Status               string    `json:"status"`
	MachineID            string    `json:"machineId"`
	ComputerDNSName      string    `json:"computerDnsName"`
	Created              wireTime  `json:"creationDateTimeUtc"`
	LastUpdated          wireTime  `json:"lastUpdateDateTimeUtc"`
	CancellationBy       *string   `json:"cancellationRequestor"`
	CancellationComment  *string   `json:"cancellationComment"`
	CancellationDateTime *wireTime `json:"cancellationDateTimeUtc"`
	ErrorHResult         int       `json:"errorHResult"`
	Scope                *string   `json:"scope"`
	ExternalID           *string   `json:"externalId"`
	RequestSource        string    `json:"requestSource"`
	RelatedFileInfo      *string   `json:"relatedFileInfo"`
	Commands             []string  `json:"commands"`
	TroubleshootInfo     *string   `json:"troubleshootInfo"`
}

func (a *action) row(t time.Time) actionRow {
	status, since := a.at(t)
	row := actionRow{
		ID: a.id, Type: "Offboard", Requestor: a.requestor, RequestorComment: a.comment, Status: status,
		MachineID: a.machineID, ComputerDNSName: a.name,
		Created: wireTime(a.created), LastUpdated: wireTime(since),
		RequestSource: a.source, Commands: []string{},
	}
	switch status {
	case cancelled:
		at := wireTime(a.cancelledAt)
		row.CancellationBy, row.CancellationComment, row.CancellationDateTime = &a.cancelledBy, &a.cancelComment, &at
	case failed:
		row.ErrorHResult = -2147024891 // E_ACCESSDENIED: any number but 0 is a failure
	}
	return row
}

// field returns what a filter may ask of an action.
func (r actionRow) field(name string) (any, bool) {
	switch name {
	case "id":
		return r.ID, true
	case "status":
		return r.Status, true
	case "machineid":
		return r.MachineID, true
	case "type":
		return r.Type, true
	case "requestor":
		return r.Requestor, true
	case "creationdatetimeutc":
		return time.Time(r.Created), true
	default:
		return nil, false
	}
}

// entity answers with one action.
func (s *Simulator) entity(status int, a *action, base string, now time.Time) reply {
	row := a.row(now)
	row.Context = base + "/api/$metadata#MachineActions/$entity"
	return answer(status, row)
}

// machineRow is a machine at a time, with the keys in the order in which they were captured.
type machineRow struct {
	Context                string   `json:"@odata.context,omitempty"`
	ID                     string   `json:"id"`
	MergedIntoMachineID    *string  `json:"mergedIntoMachineId"`
	IsPotentialDuplication bool     `json:"isPotentialDuplication"`
	IsExcluded             bool     `json:"isExcluded"`
	ExclusionReason        *string  `json:"exclusionReason"`
	ComputerDNSName        string   `json:"computerDnsName"`
	FirstSeen              wireTime `json:"firstSeen"`
	LastSeen               wireTime `json:"lastSeen"`
	OSPlatform             string   `json:"osPlatform"`
	OSVersion              *string  `json:"osVersion"`
	OSProcessor            string   `json:"osProcessor"`
	Version                string   `json:"version"`
	LastIPAddress          *string  `json:"lastIpAddress"`
	AgentVersion           string   `json:"agentVersion"`
	OSBuild                *int     `json:"osBuild"`
	HealthStatus           string   `json:"healthStatus"`
	DeviceValue            string   `json:"deviceValue"`
	RBACGroupID            int      `json:"rbacGroupId"`
	RBACGroupName          *string  `json:"rbacGroupName"`
	RiskScore              string   `json:"riskScore"`
	ExposureLevel          string   `json:"exposureLevel"`
	IsAADJoined            bool     `json:"isAadJoined"`
	AADDeviceID            *string  `json:"aadDeviceId"`
	MachineTags            []string `json:"machineTags"`
	OnboardingStatus       string   `json:"onboardingStatus"`
	OSArchitecture         string   `json:"osArchitecture"`
	ManagedBy              string   `json:"managedBy"`
	ManagedByStatus        string   `json:"managedByStatus"`
	IPAddresses            []string `json:"ipAddresses"`
	VMMetadata             *string  `json:"vmMetadata"`
}

// inactiveAfter is the documented time from offboarding until a machine shows as Inactive.
const inactiveAfter = 7 * 24 * time.Hour

func (m *machine) row(now time.Time) machineRow {
	health := m.HealthStatus
	for _, a := range m.actions {
		if status, since := a.at(now); status == succeeded && now.Sub(since) >= inactiveAfter {
			health = "Inactive"
		}
	}
	return machineRow{
		ID: m.ID, MergedIntoMachineID: orNull(m.MergedIntoMachineID),
		IsPotentialDuplication: m.IsPotentialDuplication, IsExcluded: m.IsExcluded,
		ComputerDNSName: m.ComputerDNSName, FirstSeen: wireTime(m.FirstSeen), LastSeen: wireTime(m.LastSeen),
		OSPlatform: m.OSPlatform, OSProcessor: "x64", Version: m.Version, AgentVersion: "10.8760.26100.1",
		HealthStatus: health, DeviceValue: m.DeviceValue, RBACGroupID: m.RBACGroupID, RBACGroupName: orNull(m.RBACGroupName),
		RiskScore: "None", ExposureLevel: "Low", IsAADJoined: m.AADDeviceID != "", AADDeviceID: orNull(m.AADDeviceID),
		MachineTags: append([]string{}, m.MachineTags...), OnboardingStatus: m.OnboardingStatus,
		OSArchitecture: "64-bit", ManagedBy: m.ManagedBy, ManagedByStatus: "Unknown", IPAddresses: []string{},
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// field returns what a filter may ask of a machine. The documented machineTags is a collection, which
// the filters here do not speak of.
func (r machineRow) field(name string) (any, bool) {
	switch name {
	case "id":
		return r.ID, true
	case "computerdnsname":
		return r.ComputerDNSName, true
	case "version":
		return r.Version, true
	case "devicevalue":
		return r.DeviceValue, true
	case "aaddeviceid":
		return deref(r.AADDeviceID), true
	case "lastseen":
		return time.Time(r.LastSeen), true
	case "exposurelevel":
		return r.ExposureLevel, true
	case "onboardingstatus":
		return r.OnboardingStatus, true
	case "lastipaddress":
		return deref(r.LastIPAddress), true
	case "healthstatus":
		return r.HealthStatus, true
	case "osplatform":
		return r.OSPlatform, true
	case "riskscore":
		return r.RiskScore, true
	case "rbacgroupid":
		return float64(r.RBACGroupID), true
	default:
		return nil, false
	}
}

func deref(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

// getAction answers GET /api/machineactions/{id}. It reads the action itself, which does not lag.
func (s *Simulator) getAction(c *call, now time.Time) reply {
	a := s.byID[c.subject]
	if a == nil {
		return s.actionNotFound(c.subject)
	}
	return s.entity(http.StatusOK, a, c.base, now)
}

// getMachine answers GET /api/machines/{id}, where a computer name will do as well.
func (s *Simulator) getMachine(c *call, now time.Time) reply {
	m := s.machines[c.subject]
	if m == nil {
		m = s.named(c.subject)
	}
	if m == nil {
		return s.machineNotFound(c.subject)
	}
	row := m.row(now)
	row.Context = c.base + "/api/$metadata#Machines/$entity"
	return answer(http.StatusOK, row)
}

func (s *Simulator) named(name string) *machine {
	for _, id := range s.order {
		if m := s.machines[id]; m.ComputerDNSName == name {
			return m
		}
	}
	return nil
}
