package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

func signIn(s *simulator.Simulator, path string, form url.Values) answer {
	r := httptest.NewRequest(http.MethodPost, "http://tenant"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String(), false}
}

const tokenPath = "/" + simulator.DefaultTenantID + "/oauth2/v2.0/token"

// secretForm is a good request for a token, with some of its values changed.
func secretForm(changes ...string) url.Values {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {simulator.DefaultClientID},
		"client_secret": {simulator.DefaultClientSecret},
		"scope":         {"https://api.securitycenter.microsoft.com/.default"},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Del(changes[i])
		if changes[i+1] != "" {
			form.Set(changes[i], changes[i+1])
		}
	}
	return form
}

const (
	jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertion = "e30.e30.c2ln"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path string
		form url.Values
		api  int // status of the API with the token
	}{
		"secret":         {tokenPath, secretForm(), http.StatusOK},
		"version 1":      {strings.Replace(tokenPath, "v2.0/", "", 1), secretForm("scope", "", "resource", "https://api.securitycenter.microsoft.com"), http.StatusOK},
		"assertion":      {tokenPath, secretForm("client_secret", "", "client_assertion_type", jwtBearer, "client_assertion", assertion), http.StatusOK},
		"wrong audience": {tokenPath, secretForm("scope", "https://graph.microsoft.com/.default"), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now}).Watch(t)
			a := signIn(s, tc.path, tc.form)
			wantStatus(t, a, http.StatusOK)
			got := a.object(t)
			if got["token_type"] != "Bearer" || got["expires_in"] != float64(3599) {
				t.Errorf("reply %v", got)
			}
			wantStatus(t, client{s, text(got["access_token"])}.get("/api/machines"), tc.api)
			if n := s.Truth().Tokens; n != 1 {
				t.Errorf("%d tokens issued", n)
			}
		})
	}
}

func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Now: newClock().Now})
	for name, tc := range map[string]struct {
		path   string
		form   url.Values
		status int
		name   string
		code   string
	}{
		"other tenant":       {"/other/oauth2/v2.0/token", secretForm(), 400, "invalid_request", "AADSTS90002:"},
		"unknown app":        {tokenPath, secretForm("client_id", "x"), 400, "unauthorized_client", "AADSTS700016:"},
		"wrong secret":       {tokenPath, secretForm("client_secret", "x"), 401, "invalid_client", "AADSTS7000215:"},
		"no credential":      {tokenPath, secretForm("client_secret", ""), 401, "invalid_client", "AADSTS7000218:"},
		"no JWT":             {tokenPath, secretForm("client_secret", "", "client_assertion_type", jwtBearer, "client_assertion", "x.y"), 401, "invalid_client", "AADSTS50027:"},
		"no assertion type":  {tokenPath, secretForm("client_secret", "", "client_assertion", assertion), 401, "invalid_client", "AADSTS50027:"},
		"password":           {tokenPath, secretForm("grant_type", "password"), 400, "unsupported_grant_type", "AADSTS70003:"},
		"scope of one right": {tokenPath, secretForm("scope", "https://api.securitycenter.microsoft.com/Machine.Offboard"), 400, "invalid_scope", "AADSTS1002012:"},
	} {
		t.Run(name, func(t *testing.T) {
			a := signIn(s, tc.path, tc.form)
			wantStatus(t, a, tc.status)
			got := a.object(t)
			if got["error"] != tc.name || !strings.HasPrefix(text(got["error_description"]), tc.code) {
				t.Errorf("reply %v", got)
			}
			if strings.Contains(a.body, simulator.DefaultClientSecret) {
				t.Error("the reply holds the secret")
			}
		})
	}
	notAForm := newClient(s).do(http.MethodPost, tokenPath, secretForm().Encode())
	wantStatus(t, notAForm, http.StatusBadRequest)
	wantStatus(t, newClient(s).get("/other/v2.0/.well-known/openid-configuration"), http.StatusBadRequest)
}

func TestTokensThatAreNotTaken(t *testing.T) {
	t.Parallel()
	foreign := simulator.New(simulator.Config{Seed: 9, Now: newClock().Now}).IssueToken(simulator.TokenOptions{})
	s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now}).Watch(t)
	good := s.IssueToken(simulator.TokenOptions{})
	for name, tc := range map[string]struct {
		token  string
		status int
		code   string
		words  string
	}{
		"none":           {"", 401, "Unauthorized", "missing"},
		"opaque":         {"opaque", 401, "Unauthorized", "missing"},
		"no base64":      {"a.b.!", 401, "Unauthorized", "missing"},
		"altered":        {strings.Replace(good, ".", ".A", 1), 401, "Unauthorized", "missing"},
		"foreign":        {foreign, 401, "Unauthorized", "not issued"},
		"expired":        {s.IssueToken(simulator.TokenOptions{Life: -time.Second}), 401, "Unauthorized", "expired"},
		"other tenant":   {s.IssueToken(simulator.TokenOptions{TenantID: "x"}), 401, "Unauthorized", "another tenant"},
		"other audience": {s.IssueToken(simulator.TokenOptions{Audience: "https://example.org"}), 403, "Forbidden", "audience"},
		"read only": {s.IssueToken(simulator.TokenOptions{Roles: []string{"Machine.Read.All"}}), 403, "Forbidden",
			"Missing application roles. API required roles: Machine.Offboard, application roles: Machine.Read.All."},
		"no permission":  {s.IssueToken(simulator.TokenOptions{Roles: []string{}}), 403, "Forbidden", "application roles: ."},
		"a user's right": {s.IssueToken(simulator.TokenOptions{Scopes: []string{"Machine.Read"}}), 403, "Forbidden", "Machine.Offboard"},
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, client{s, tc.token}.offboard(s.Machines()[0].ID), tc.status, tc.code, tc.words)
		})
	}
	if _, effects := s.Effects(); effects != 0 {
		t.Errorf("%d effects", effects)
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 1, Now: newClock().Now}).Watch(t)
	for _, tc := range []struct {
		token         simulator.TokenOptions
		list, cancels int
	}{
		{simulator.TokenOptions{Roles: []string{"Machine.Offboard"}}, 403, 404},
		{simulator.TokenOptions{Roles: []string{"Machine.Read.All"}}, 200, 403},
		{simulator.TokenOptions{Roles: []string{"Machine.ReadWrite.All"}}, 200, 403},
		{simulator.TokenOptions{Scopes: []string{"Machine.ReadWrite", "Machine.Isolate"}}, 200, 404},
	} {
		c := client{s, s.IssueToken(tc.token)}
		for _, target := range []string{"/api/machines", "/api/machineactions"} {
			if a := c.get(target); a.status != tc.list {
				t.Errorf("%+v: %s answered %d, want %d", tc.token, target, a.status, tc.list)
			}
		}
		if a := c.do(http.MethodPost, "/api/machineactions/x/cancel", `{"Comment":"x"}`); a.status != tc.cancels {
			t.Errorf("%+v: cancel answered %d, want %d", tc.token, a.status, tc.cancels)
		}
	}
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := simulator.New(simulator.Config{Machines: 1, Now: clk.Now, Faults: []simulator.Fault{
		{Kind: simulator.ExpireToken, Endpoint: simulator.ListMachines, Nth: 2},
	}}).Watch(t)
	c := newClient(s)
	statuses := func(c client) (got []int) {
		for range 3 {
			got = append(got, c.get("/api/machines").status)
		}
		return got
	}
	if got := statuses(c); !slices.Equal(got, []int{200, 401, 401}) {
		t.Errorf("statuses %v around the token's scripted end", got)
	}
	fresh := newClient(s)
	wantStatus(t, fresh.get("/api/machines"), http.StatusOK)
	s.RevokeTokens()
	wantStatus(t, fresh.get("/api/machines"), http.StatusUnauthorized)
	fresh = newClient(s)
	clk.forward(time.Hour - time.Second)
	wantStatus(t, fresh.get("/api/machines"), http.StatusOK)
	clk.forward(time.Second)
	wantStatus(t, fresh.get("/api/machines"), http.StatusUnauthorized)
}

func TestSignInFaults(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Now: newClock().Now, Faults: []simulator.Fault{
		{Kind: simulator.StatusBefore, Endpoint: simulator.Token, Nth: 1},
		{Kind: simulator.Throttle, Endpoint: simulator.Token, Nth: 2, Wait: time.Second},
	}})
	for _, want := range []int{503, 429, 200} {
		wantStatus(t, signIn(s, tokenPath, secretForm()), want)
	}
}
