package defender

import (
	"encoding/json"
	"strings"
	"time"
)

// The states of a machine action as the service spells them. All but the first
// two are final.
const (
	StatusPending    = "Pending"
	StatusInProgress = "InProgress"
	StatusSucceeded  = "Succeeded"
	StatusFailed     = "Failed"
	StatusTimeOut    = "TimeOut"
	StatusCancelled  = "Cancelled"
)

// TypeOffboard is the type of the action that [Client.Offboard] creates.
const TypeOffboard = "Offboard"

// MachineAction is an order that the service carries out on a machine, in the
// state in which the service described it. An action that was accepted is not
// an action that was done: a machine that is offline leaves it pending.
//
// Fields that an answer leaves out, or fills with something of another type, are
// zero.
type MachineAction struct {
	ID                    string // a GUID
	Type                  string // [TypeOffboard] or another; new ones may appear
	Status                string // one of the Status constants; new ones may appear
	Title                 string
	MachineID             string // 40 hexadecimal digits, lower-case
	ComputerDNSName       string
	Requestor             string // a user, or an app by its name or id
	RequestorComment      string // the comment of the request, by which a caller knows its own
	RequestSource         string // "PublicApi" for what came through the API
	Scope                 string
	ExternalID            string
	Created               time.Time
	LastUpdated           time.Time
	CancellationRequestor string
	CancellationComment   string
	Cancelled             time.Time
	ErrorHResult          int64 // 0 when fine; its other values are not documented
	TroubleshootInfo      string

	// Raw is the JSON object as it was received.
	Raw json.RawMessage
}

// Final says that the status of a will not change any more. An unknown status
// is not final.
func (a MachineAction) Final() bool {
	switch a.Status {
	// Older copies of the documentation spell the last one with one l.
	case StatusSucceeded, StatusFailed, StatusTimeOut, StatusCancelled, "Canceled":
		return true
	}
	return false
}

// UnmarshalJSON reads an action as the service sends it. It fails only if data
// is not a JSON object; optional fields of a wrong type are left out.
func (a *MachineAction) UnmarshalJSON(data []byte) error {
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	*a = MachineAction{
		ID:                    o.text("id"),
		Type:                  o.text("type"),
		Status:                o.text("status"),
		Title:                 o.text("title"),
		MachineID:             strings.ToLower(o.text("machineid")),
		ComputerDNSName:       o.text("computerdnsname"),
		Requestor:             o.text("requestor"),
		RequestorComment:      o.text("requestorcomment"),
		RequestSource:         o.text("requestsource"),
		Scope:                 o.text("scope"),
		ExternalID:            o.text("externalid"),
		Created:               o.time("creationdatetimeutc"),
		LastUpdated:           o.time("lastupdatedatetimeutc"),
		CancellationRequestor: o.text("cancellationrequestor"),
		CancellationComment:   o.text("cancellationcomment"),
		Cancelled:             o.time("cancellationdatetimeutc"),
		ErrorHResult:          o.integer("errorhresult"),
		TroubleshootInfo:      o.text("troubleshootinfo"),
		Raw:                   json.RawMessage(append([]byte(nil), data...)),
	}
	return nil
}
