package defender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func source(t *testing.T, c AuthConfig) TokenSource {
	t.Helper()
	s, err := NewTokens(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each method that signs in over the network, and what it shows to Entra.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*AuthConfig)
		shows  url.Values
	}{
		"client secret": {func(*AuthConfig) {}, url.Values{"client_secret": {canary}, "grant_type": {"client_credentials"}}},
		"secret file": {func(c *AuthConfig) {
			c.Method, c.ClientSecret, c.ClientSecretFile = AuthAuto, "", write(t, "secret", "\ufeff from a file\r\n")
		}, url.Values{"client_secret": {"from a file"}}},
		"certificate": {func(c *AuthConfig) {
			c.Method, c.CertificatePath = AuthCertificate, write(t, "app.pem", keyPair(t))
		}, url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}},
		"workload identity": {func(c *AuthConfig) {
			c.Method, c.FederatedTokenFile = AuthWorkloadIdentity, write(t, "federated", "assertion")
		}, url.Values{"client_assertion": {"assertion"}}},
		"device code": {func(c *AuthConfig) {
			c.Method = AuthDeviceCode
			c.DevicePrompt = func(message string) {
				if message != "enter ABCD" {
					t.Errorf("prompted with %q", message)
				}
			}
		}, url.Values{"device_code": {canary}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEntra(t)
			c := e.config()
			row.change(&c)
			s := source(t, c)
			for range 3 {
				token, err := s.Token(t.Context())
				if err != nil || token.Value != "token-1" || time.Until(token.Expires) < 50*time.Minute {
					t.Fatalf("%q, %v", token.Value, err)
				}
			}
			if e.count() != 1 {
				t.Errorf("%d sign-ins", e.count())
			}
			for key := range row.shows {
				if got := e.forms[0].Get(key); got != row.shows.Get(key) {
					t.Errorf("%s: %q", key, got)
				}
			}
			if scope := e.forms[0].Get("scope"); !strings.Contains(scope, "https://api.securitycenter.microsoft.com/.default") {
				t.Errorf("scope %q", scope)
			}
		})
	}
}

func TestRefusedTokenMeansANewSignIn(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	s := source(t, e.config())
	first, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Refuse("some other token")
	if again, _ := s.Token(t.Context()); again.Value != first.Value {
		t.Errorf("%q after another token was refused", again.Value)
	}
	s.Refuse(first.Value)
	second, err := s.Token(t.Context())
	if err != nil || second.Value != "token-2" || e.count() != 2 {
		t.Errorf("%q after %d sign-ins, %v", second.Value, e.count(), err)
	}
}

func TestOneSignInForAll(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	s := source(t, e.config())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if token, err := s.Token(t.Context()); err != nil || token.Value != "token-1" {
				t.Errorf("%q, %v", token.Value, err)
			}
		})
	}
	all.Wait()
	if e.count() != 1 {
		t.Errorf("%d sign-ins", e.count())
	}
}

// A token that is due for renewal but good is used while Entra is away.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	s := source(t, e.config()).(*signIn)
	if _, err := s.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Close()
	s.mu.Lock()
	s.renew, s.credential = time.Now(), nil
	s.mu.Unlock()
	if token, err := s.Token(t.Context()); err != nil || token.Value != "token-1" {
		t.Errorf("good for an hour: %q, %v", token.Value, err)
	}
	s.mu.Lock()
	s.token.Expires = time.Now()
	s.mu.Unlock()
	_, err := s.Token(t.Context())
	if p := problem(t, err); p.Meaning != NotApplied || !errors.Is(err, ErrUnreachable) || !errors.Is(err, ErrSignIn) {
		t.Errorf("expired: %v, %v", p.Meaning, err)
	}
}

func TestShortLivedTokensAreKept(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	e.life = 60
	s := source(t, e.config())
	for range 3 {
		if token, err := s.Token(t.Context()); err != nil || token.Value != "token-1" {
			t.Fatalf("%q, %v", token.Value, err)
		}
	}
}

func TestSignInFails(t *testing.T) {
	t.Parallel()
	says := func(status int, code string) func(http.ResponseWriter, url.Values) bool {
		return func(w http.ResponseWriter, form url.Values) bool {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s: you sent %s.\r\nTrace ID: 1","error_codes":[1]}`, code, form.Encode())
			return true
		}
	}
	for name, row := range map[string]struct {
		refuse func(http.ResponseWriter, url.Values) bool
		change func(*AuthConfig)
		want   Meaning
		is     error
		code   string
		hint   string
	}{
		"wrong secret":   {says(401, "AADSTS7000215"), nil, Stop, ErrSignIn, "AADSTS7000215", "secret is wrong"},
		"unknown app":    {says(400, "AADSTS700016"), nil, Stop, ErrSignIn, "AADSTS700016", "not known in this tenant"},
		"no reason":      {says(400, "AADSTS1"), nil, Stop, ErrSignIn, "AADSTS1", "client-secret"},
		"out of order":   {says(503, "AADSTS90033"), nil, NotApplied, ErrUnreachable, "AADSTS90033", "network"},
		"too many":       {says(429, "AADSTS50196"), nil, NotApplied, ErrUnreachable, "AADSTS50196", "network"},
		"captive portal": {func(w http.ResponseWriter, _ url.Values) bool { _, _ = io.WriteString(w, "<html>"); return true }, nil, Stop, ErrSignIn, "", ""},
		"broken off": {func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"token`)
			return true
		}, nil, NotApplied, ErrUnreachable, "", "network"},
		"nobody there":     {nil, func(c *AuthConfig) { c.AuthorityURL = "https://127.0.0.1:1" }, NotApplied, ErrUnreachable, "", "network"},
		"bad certificate":  {nil, func(c *AuthConfig) { c.Transport = nil }, Stop, ErrUntrusted, "", "--ca-file"},
		"another tenant":   {nil, func(c *AuthConfig) { c.TenantID = "other" }, Stop, ErrSignIn, "", ""},
		"no secret file":   {nil, func(c *AuthConfig) { c.ClientSecretFile = "/does/not/exist" }, Stop, ErrSignIn, "", ""},
		"no certificate":   {nil, func(c *AuthConfig) { c.Method, c.CertificatePath = AuthCertificate, "/does/not/exist" }, Stop, ErrSignIn, "", ""},
		"no key pair":      {nil, func(c *AuthConfig) { c.Method, c.CertificatePath = AuthCertificate, write(t, "x", "x") }, Stop, ErrSignIn, "", ""},
		"no federated one": {nil, func(c *AuthConfig) { c.Method, c.FederatedTokenFile = AuthWorkloadIdentity, "/does/not/exist" }, Stop, ErrSignIn, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEntra(t)
			e.refuse = row.refuse
			c := e.config()
			if row.change != nil {
				row.change(&c)
			}
			_, err := source(t, c).Token(t.Context())
			p := problem(t, err)
			if p.Meaning != row.want || !errors.Is(err, row.is) || p.Code != row.code || !strings.Contains(p.Hint, row.hint) {
				t.Errorf("%v, code %q, hint %q: %v", p.Meaning, p.Code, p.Hint, err)
			}
			if !errors.Is(err, ErrUnsent) || p.Status != 0 {
				t.Errorf("HTTP %d: %v", p.Status, err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v %s %s", err, err, err, p.Message, p.Hint), canary) {
				t.Errorf("a secret shows: %#v", err)
			}
		})
	}
}

func TestSignInIsGivenUp(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	s := source(t, e.config())
	ctx, cancel := context.WithCancel(t.Context())
	e.refuse = func(http.ResponseWriter, url.Values) bool {
		cancel()
		return false
	}
	if _, err := s.Token(ctx); err != nil {
		// The token may have been there just in time; if not, nothing was sent.
		if p := problem(t, err); p.Meaning != NotApplied || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", p.Meaning, err)
		}
	}
	// The sign-in went on, and whoever comes next has its token.
	if token, err := s.Token(t.Context()); err != nil || token.Value != "token-1" {
		t.Errorf("%q, %v", token.Value, err)
	}
	s.Refuse("token-1")
	if _, err := s.Token(ctx); problem(t, err).Meaning != NotApplied {
		t.Errorf("%v", err)
	}
}

// The sign-in's redirects are not followed with the secret.
func TestSignInIsNotRedirected(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	e.refuse = func(w http.ResponseWriter, _ url.Values) bool {
		w.Header().Set("Location", e.URL+"/"+tenant+"/oauth2/v2.0/token?again")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	_, err := source(t, e.config()).Token(t.Context())
	if p := problem(t, err); p.Meaning != Stop || e.count() != 1 {
		t.Errorf("%v after %d requests: %v", p.Meaning, e.count(), err)
	}
}

// azidentity keeps a managed identity's tokens for the whole process. A refused
// one must not come back from there.
func TestManagedIdentity(t *testing.T) {
	asked := 0
	w := listen(t, func(conn net.Conn, r *http.Request) bool {
		asked++
		answer := &recorded{header: http.Header{"Content-Type": {"application/json"}}, status: http.StatusOK}
		_, _ = fmt.Fprintf(answer, `{"access_token":"token-%d","expires_on":"%d","resource":"%s","token_type":"Bearer"}`,
			asked, time.Now().Add(time.Hour).Unix(), r.URL.Query().Get("resource"))
		if r.Header.Get("X-IDENTITY-HEADER") != canary {
			answer.status = http.StatusForbidden
		}
		return answer.send(conn) == nil
	})
	t.Setenv("IDENTITY_ENDPOINT", "http://"+w.address+"/msi/token")
	t.Setenv("IDENTITY_HEADER", canary)
	config := AuthFromEnv(os.Getenv)
	config.Method = AuthManagedIdentity
	config.Scope = "https://" + w.address + "/.default" // of no other run in this process
	s := source(t, config)
	for n := 1; n <= 2; n++ {
		token, err := s.Token(t.Context())
		if want := fmt.Sprintf("token-%d", n); err != nil || token.Value != want {
			t.Fatalf("%q, %v; want %s", token.Value, err, want)
		}
		s.Refuse(token.Value)
	}
}
