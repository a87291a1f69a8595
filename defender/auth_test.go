package defender

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAuthFromEnv(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for _, name := range []string{
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "OFFBOARD_CLIENT_SECRET_FILE", "AZURE_CLIENT_CERTIFICATE_PATH",
		"AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "OFFBOARD_TOKEN", "OFFBOARD_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
	} {
		env[name] = name
	}
	get := func(name string) string { return env[name] }
	want := AuthConfig{
		TenantID: "AZURE_TENANT_ID", ClientID: "AZURE_CLIENT_ID", ClientSecret: "AZURE_CLIENT_SECRET", ClientSecretFile: "OFFBOARD_CLIENT_SECRET_FILE",
		CertificatePath: "AZURE_CLIENT_CERTIFICATE_PATH", CertificatePassword: "AZURE_CLIENT_CERTIFICATE_PASSWORD",
		FederatedTokenFile: "AZURE_FEDERATED_TOKEN_FILE", Token: "OFFBOARD_TOKEN", TokenFile: "OFFBOARD_TOKEN_FILE", AuthorityURL: "AZURE_AUTHORITY_HOST",
	}
	if got := AuthFromEnv(get); !reflect.DeepEqual(got, want) {
		t.Error("the environment is not read as it should")
	}
	for _, name := range []string{"IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT"} {
		env = map[string]string{name: "http://localhost"}
		if !AuthFromEnv(get).ManagedIdentity {
			t.Errorf("%s announces nothing", name)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	everything := AuthConfig{
		Token: "x", ClientSecret: "x", CertificatePath: "x", FederatedTokenFile: "x", ManagedIdentity: true,
	}
	c := everything
	for _, step := range []struct {
		want string
		drop func()
	}{
		{AuthToken, func() { c.Token = "" }},
		{AuthClientSecret, func() { c.ClientSecret = "" }},
		{AuthCertificate, func() { c.CertificatePath = "" }},
		{AuthWorkloadIdentity, func() { c.FederatedTokenFile = "" }},
		{AuthManagedIdentity, func() { c.ManagedIdentity = false }},
		{AuthAzureCLI, func() { c.TokenFile = "x" }},
		{AuthToken, func() { c.TokenFile, c.ClientSecretFile = "", "x" }},
		{AuthClientSecret, func() {}},
	} {
		method, why, err := c.Choose()
		if err != nil || method != step.want || why == "" {
			t.Errorf("%q (%s), %v; want %q", method, why, err, step.want)
		}
		step.drop()
	}
	for _, method := range AuthMethods()[1:] {
		c := everything
		c.Method = method
		if got, _, err := c.Choose(); err != nil || got != method {
			t.Errorf("asked for %s: %s, %v", method, got, err)
		}
	}
	if _, _, err := (AuthConfig{Method: "password"}).Choose(); !errors.Is(err, ErrConfig) {
		t.Errorf("%v", err)
	}
}

func TestNewTokensRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []AuthConfig{
		{Method: "password"},
		{Method: AuthToken},
		{Method: AuthClientSecret, TenantID: "t", ClientID: "c"},
		{Method: AuthClientSecret, TenantID: "t", ClientSecret: "s"},
		{ClientSecret: "s", ClientID: "c"},
		{Method: AuthCertificate, TenantID: "t", ClientID: "c"},
		{Method: AuthWorkloadIdentity, TenantID: "t", ClientID: "c"},
		{Method: AuthDeviceCode, TenantID: "t", ClientID: "c"},
		{Method: AuthDeviceCode, DevicePrompt: func(string) {}},
		{Token: "x", AuthorityURL: "http://login.example.com"},
		{Token: "x", AuthorityURL: "https://user:password@login.example.com"},
		{Token: "x", AuthorityURL: "https://%zz"},
	} {
		if s, err := NewTokens(c); !errors.Is(err, ErrConfig) || s != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	for _, method := range []string{AuthManagedIdentity, AuthAzureCLI} {
		if _, err := NewTokens(AuthConfig{Method: method}); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Every method has a credential, and a hint for when it fails.
func TestCredentials(t *testing.T) {
	t.Parallel()
	key := write(t, "app.pem", keyPair(t))
	for _, method := range AuthMethods() {
		if slices.Contains([]string{AuthAuto, AuthToken}, method) {
			continue
		}
		c, err := AuthConfig{
			Method: method, TenantID: tenant, ClientID: "c", ClientSecret: "s", CertificatePath: key, CertificatePassword: "",
			FederatedTokenFile: key, DevicePrompt: func(string) {},
		}.complete()
		if err != nil {
			t.Fatal(err)
		}
		if credential, err := c.credential(); err != nil || credential == nil {
			t.Errorf("%s: %v", method, err)
		}
		if c.signInHint("") == "" {
			t.Errorf("%s: no hint", method)
		}
	}
	if _, err := (AuthConfig{Method: AuthToken}).credential(); !errors.Is(err, ErrConfig) {
		t.Errorf("%v", err)
	}
}

func TestKnownAuthority(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://login.microsoftonline.com": true, "https://LOGIN.microsoftonline.us/": true,
		"https://login.microsoftonline.com:8443": false, "https://login.example.com": false, "https://127.0.0.1": false,
	} {
		if got := (AuthConfig{AuthorityURL: address}).knownAuthority(); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestGivenToken(t *testing.T) {
	t.Parallel()
	s := source(t, AuthConfig{Token: " " + canary + "\n"})
	token, err := s.Token(t.Context())
	if err != nil || token.Value != canary {
		t.Fatalf("%q, %v", token.Value, err)
	}
	s.Refuse(token.Value)
	_, err = s.Token(t.Context())
	if e := problem(t, err); e.Meaning != Stop || !errors.Is(err, ErrSignIn) || strings.Contains(err.Error(), canary) || e.Hint == "" {
		t.Errorf("%v, %v", e.Meaning, err)
	}
}

func TestTokenFile(t *testing.T) {
	t.Parallel()
	expiring := func(in time.Duration) string {
		return jwt(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(in).Unix()))
	}
	path := write(t, "token", expiring(-time.Hour)+"\n")
	put := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := source(t, AuthConfig{Method: AuthToken, TokenFile: path, Token: "not this"})
	expect := func(what, want string) {
		t.Helper()
		if token, err := s.Token(t.Context()); err != nil || token.Value != want {
			t.Errorf("%s: %q, %v", what, token.Value, err)
		}
	}
	first := expiring(-time.Hour)
	put(first)
	expect("an expired one is for the service to refuse", first)
	second := expiring(time.Hour)
	put(second + "\r\n")
	expect("the file is read again once the token expired", second)
	put("third")
	expect("but not before", second)
	s.Refuse(second)
	expect("or was refused", "third")
	s.Refuse("third")
	_, err := s.Token(t.Context())
	if e := problem(t, err); e.Meaning != Stop {
		t.Errorf("the refused one again: %v, %v", e.Meaning, err)
	}
	for what, content := range map[string]string{"empty": " \n", "huge": strings.Repeat("x", longestSecret+1)} {
		put(content)
		_, err := s.Token(t.Context())
		if e := problem(t, err); e.Meaning != Stop || e.Hint == "" {
			t.Errorf("%s: %v, %v", what, e.Meaning, err)
		}
	}
	put("fourth")
	expect("and it recovers", "fourth")
}
