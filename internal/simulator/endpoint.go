package simulator

import (
	"net/http"
	"strings"
)

// Endpoint names one request that the tenant answers.
type Endpoint string

// The endpoints. AnyEndpoint is for [Fault] alone.
const (
	Offboard     Endpoint = "offboard"      // POST /api/machines/{id}/offboard
	ListActions  Endpoint = "list-actions"  // GET /api/machineactions
	GetAction    Endpoint = "get-action"    // GET /api/machineactions/{id}
	CancelAction Endpoint = "cancel-action" // POST /api/machineactions/{id}/cancel
	ListMachines Endpoint = "list-machines" // GET /api/machines
	GetMachine   Endpoint = "get-machine"   // GET /api/machines/{id}
	Token        Endpoint = "token"         // POST /{tenant}/oauth2/v2.0/token and /{tenant}/oauth2/token
	Discovery    Endpoint = "discovery"     // GET /{tenant}/v2.0/.well-known/openid-configuration
	AnyEndpoint  Endpoint = "*"             // every endpoint of the API, but neither Token nor Discovery
	unknown      Endpoint = "unknown"       // a path that nothing answers
)

// Class is what the service has a quota for. The service names the key of a quota
// Destination+TenantID+AppID; that a destination is one of these is an inference.
type Class string

// The classes.
const (
	ClassOffboard Class = "offboard"
	ClassActions  Class = "machineactions" // list and get
	ClassCancel   Class = "cancel"
	ClassMachines Class = "machines" // list and get
)

// route is what a path stands for.
type route struct {
	endpoint Endpoint
	subject  string // the machine, action or tenant that the path names
}

// class returns the class of the quota, or "" for an endpoint that has none.
func (e Endpoint) class() Class {
	switch e {
	case Offboard:
		return ClassOffboard
	case ListActions, GetAction:
		return ClassActions
	case CancelAction:
		return ClassCancel
	case ListMachines, GetMachine:
		return ClassMachines
	default:
		return ""
	}
}

// method returns the only method that the endpoint answers.
func (e Endpoint) method() string {
	switch e {
	case Offboard, CancelAction, Token:
		return http.MethodPost
	default:
		return http.MethodGet
	}
}

// roles returns the application permissions of which one is needed, in the words of the service.
func (e Endpoint) roles() []string {
	switch e {
	case Offboard:
		return []string{"Machine.Offboard"}
	case CancelAction:
		return []string{
			"Machine.CollectForensics", "Machine.Isolate", "Machine.RestrictExecution", "Machine.Scan",
			"Machine.Offboard", "Machine.StopAndQuarantine", "Machine.LiveResponse",
		}
	default:
		return []string{"Machine.Read.All", "Machine.ReadWrite.All"}
	}
}

// parseRoute finds out what a path stands for. The API also answers under its versioned prefix.
func parseRoute(p string) route {
	if rest, ok := strings.CutPrefix(p, "/api/v1.0/"); ok {
		p = "/api/" + rest
	}
	segments := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for _, known := range []struct {
		endpoint Endpoint
		pattern  string
	}{
		{Offboard, "api/machines/*/offboard"},
		{GetMachine, "api/machines/*"},
		{ListMachines, "api/machines"},
		{CancelAction, "api/machineactions/*/cancel"},
		{GetAction, "api/machineactions/*"},
		{ListActions, "api/machineactions"},
		{Token, "*/oauth2/v2.0/token"},
		{Token, "*/oauth2/token"},
		{Discovery, "*/v2.0/.well-known/openid-configuration"},
	} {
		if subject, ok := match(known.pattern, segments); ok {
			return route{known.endpoint, subject}
		}
	}
	return route{unknown, ""}
}

// match compares a path with a pattern and returns the segment that stands where the pattern has its star.
func match(pattern string, segments []string) (subject string, ok bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(segments) {
		return "", false
	}
	for i, w := range want {
		switch {
		case w == "*" && segments[i] != "":
			subject = segments[i]
		case w != segments[i]:
			return "", false
		}
	}
	return subject, true
}
