package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// discovery answers with what a sign-in library reads before it asks for a token.
func (s *Simulator) discovery(c *call) reply {
	if !s.isTenant(c.subject) {
		return s.failSignIn(http.StatusBadRequest, "invalid_tenant", 90002, "Tenant '"+c.subject+"' not found.")
	}
	root := c.base + "/" + c.subject
	return answer(http.StatusOK, map[string]any{
		"issuer":                                root + "/v2.0",
		"authorization_endpoint":                root + "/oauth2/v2.0/authorize",
		"token_endpoint":                        root + "/oauth2/v2.0/token",
		"device_authorization_endpoint":         root + "/oauth2/v2.0/devicecode",
		"jwks_uri":                              root + "/discovery/v2.0/keys",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
		"response_types_supported":              []string{"code"},
		"tenant_region_scope":                   "EU",
	})
}

func (s *Simulator) isTenant(id string) bool { return strings.EqualFold(id, s.cfg.TenantID) }

// signIn answers a request for a token with the client credentials of the app: a secret, or an
// assertion, which has to be one but whose signature nobody checks.
func (s *Simulator) signIn(c *call, now time.Time) reply {
	form, err := url.ParseQuery(string(c.body))
	switch {
	case !s.isTenant(c.subject):
		return s.failSignIn(http.StatusBadRequest, "invalid_request", 90002, "Tenant '"+c.subject+"' not found.")
	case err != nil || !c.form:
		return s.failSignIn(http.StatusBadRequest, "invalid_request", 900144, "The request body must be a form.")
	case form.Get("grant_type") != "client_credentials":
		return s.failSignIn(http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
	case form.Get("client_id") != s.cfg.ClientID:
		return s.failSignIn(http.StatusBadRequest, "unauthorized_client", 700016,
			"Application with identifier '"+form.Get("client_id")+"' was not found in the directory.")
	}
	if rep, ok := s.checkCredential(form); !ok {
		return rep
	}
	audience, ok := audienceOf(form)
	if !ok {
		return s.failSignIn(http.StatusBadRequest, "invalid_scope", 1002012, "The provided value for scope is not valid.")
	}
	life := int(s.cfg.TokenLife / time.Second)
	return answer(http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": life - 1, "ext_expires_in": life - 1,
		"access_token": s.issue(TokenOptions{Audience: audience}, now),
	})
}

func (s *Simulator) checkCredential(form url.Values) (reply, bool) {
	assertion := form.Get("client_assertion")
	switch {
	case form.Get("client_secret") == s.cfg.ClientSecret:
		return reply{}, true
	case form.Has("client_secret"):
		return s.failSignIn(http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client secret provided."), false
	case assertion == "":
		return s.failSignIn(http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'."), false
	case form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || !isJWT(assertion):
		return s.failSignIn(http.StatusUnauthorized, "invalid_client", 50027, "The assertion is malformed."), false
	}
	return reply{}, true
}

// isJWT tells whether a text has the three parts of a JWT, the first two of them JSON.
func isJWT(text string) bool {
	parts := strings.Split(text, ".")
	return len(parts) == 3 && !slices.ContainsFunc(parts[:2], func(part string) bool {
		b, err := base64.RawURLEncoding.DecodeString(part)
		return err != nil || !json.Valid(b)
	})
}

// audienceOf reads what the token is to be for: version 2 names a scope, version 1 a resource.
func audienceOf(form url.Values) (string, bool) {
	if resource := form.Get("resource"); resource != "" {
		return resource, true
	}
	for scope := range strings.FieldsSeq(form.Get("scope")) {
		if audience, ok := strings.CutSuffix(scope, "/.default"); ok {
			return audience, true
		}
	}
	return "", false
}

// failSignIn is an error in Entra's form.
func (s *Simulator) failSignIn(status int, name string, number int, message string) reply {
	trace := s.guid("trace", s.requests)
	return answer(status, map[string]any{
		"error":             name,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s", number, message, trace),
		"error_codes":       []int{number},
		"trace_id":          trace,
		"correlation_id":    s.guid("correlation", s.requests),
	})
}
