package simulator

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// reply is an answer before it is written.
type reply struct {
	status int
	header http.Header
	body   []byte
}

const contentJSON = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"

// answer makes a reply of a value that always marshals: structs of strings, numbers and times.
func answer(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("simulator: answer does not marshal: %v", err))
	}
	return reply{status, http.Header{"Content-Type": {contentJSON}, "Odata-Version": {"4.0"}}, body}
}

// fail makes the service's error envelope. Target is what a person quotes to support.
func fail(status int, code, message, target string) reply {
	type envelope struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Target  string `json:"target"`
	}
	return answer(status, map[string]envelope{"error": {code, message, target}})
}

// failOData makes the envelope of the layer that reads queries: an empty code, details and no target.
func failOData(reason string) reply {
	type envelope struct {
		Code    string   `json:"code"`
		Message string   `json:"message"`
		Details []string `json:"details"`
	}
	message := "The query specified in the URI is not valid. " + reason
	return answer(http.StatusBadRequest, map[string]envelope{"error": {"", message, []string{}}})
}

// failMethod is the answer to another method than the one that a path has: no body at all.
func failMethod(allow string) reply {
	return reply{status: http.StatusMethodNotAllowed, header: http.Header{"Allow": {allow}}}
}

// target makes a correlation id.
func (s *Simulator) target() string {
	return "|" + s.guid("correlation", s.requests) + "."
}

// throttled is the answer of a full quota.
func (s *Simulator) throttled(w *window, wait time.Duration, now time.Time) reply {
	whole := math.Ceil
	if s.cfg.RetryAfter == RetryAfterFloor {
		whole = math.Floor
	}
	seconds := int(whole(wait.Seconds()))
	if s.cfg.RetryAfter == RetryAfterMissing {
		message := fmt.Sprintf("API calls quota exceeded! maximum allowed %d per %s", w.limit, spell(w.per))
		return fail(http.StatusTooManyRequests, "429", message, s.cfg.TenantID)
	}
	message := fmt.Sprintf("API calls quota exceeded! Maximum allowed %d per %s for the key "+
		"Destination+TenantID+AppID. You can send requests again in %d seconds.", w.limit, spell(w.per), seconds)
	rep := fail(http.StatusTooManyRequests, "429", message, s.cfg.TenantID)
	rep.header.Set("Retry-After", strconv.Itoa(seconds))
	if s.cfg.RetryAfter == RetryAfterDate {
		rep.header.Set("Retry-After", now.Add(wait+time.Second-1).UTC().Format(http.TimeFormat))
	}
	return rep
}

// throttledBy is the answer of a scripted [Throttle].
func (s *Simulator) throttledBy(f Fault) reply {
	message := "API calls quota exceeded!"
	if f.Period > 0 {
		limit := s.cfg.PerMinute
		if f.Period >= time.Hour {
			limit = s.cfg.PerHour
		}
		message += fmt.Sprintf(" Maximum allowed %d per %s for the key Destination+TenantID+AppID.", limit, spell(f.Period))
	}
	seconds := strconv.Itoa(int(math.Ceil(f.Wait.Seconds())))
	if f.Wait > 0 {
		message += fmt.Sprintf(" You can send requests again in %s seconds.", seconds)
	}
	rep := fail(http.StatusTooManyRequests, "429", message, s.cfg.TenantID)
	switch {
	case f.RetryAfter == "none" || f.RetryAfter == "" && f.Wait == 0:
	case f.RetryAfter == "":
		rep.header.Set("Retry-After", seconds)
	default:
		rep.header.Set("Retry-After", f.RetryAfter)
	}
	return rep
}

// failedBy is the answer of a scripted [StatusBefore] or [StatusAfter].
func (s *Simulator) failedBy(f Fault, subject string) reply {
	if f.Code != "" {
		return fail(f.Status, f.Code, f.Message, s.target())
	}
	switch f.Status {
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		page := fmt.Sprintf("<html><body><h2>%d %s</h2></body></html>", f.Status, http.StatusText(f.Status))
		return reply{f.Status, http.Header{"Content-Type": {"text/html"}}, []byte(page)}
	case http.StatusInternalServerError:
		return fail(f.Status, "InternalServerError", "", s.target())
	case http.StatusNotFound:
		return s.machineNotFound(subject)
	case http.StatusUnauthorized:
		return s.unauthorized("the token was not accepted")
	case http.StatusForbidden:
		return fail(f.Status, "Forbidden", "The application does not have any of the required application permissions.", s.target())
	default:
		return fail(f.Status, "BadRequest", http.StatusText(f.Status), s.target())
	}
}

func (s *Simulator) machineNotFound(id string) reply {
	return fail(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf("Machine %s was not found", id), s.target())
}

func (s *Simulator) unauthorized(reason string) reply {
	rep := fail(http.StatusUnauthorized, "Unauthorized", "Unauthorized request - reason of failure: "+reason, s.target())
	rep.header.Set("Www-Authenticate", "Bearer")
	return rep
}
