package simulator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"offboard/internal/simulator"
)

// serve starts a simulator and returns its server with a client that trusts it.
func serve(t *testing.T, s *simulator.Simulator) (*simulator.Server, *http.Client) {
	t.Helper()
	v, err := s.Start("")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := v.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("the file holds no certificate")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		if err := v.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return v, &http.Client{Transport: tr}
}

func TestSignInWithAzidentity(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Config{Machines: 2}).Watch(t)
	v, c := serve(t, s)
	options := azcore.ClientOptions{
		Transport: c,
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: v.URL},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
	sign := func(secret string) (azcore.AccessToken, error) {
		cred, err := azidentity.NewClientSecretCredential(s.Config().TenantID, s.Config().ClientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		if err != nil {
			t.Fatal(err)
		}
		return cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://api.securitycenter.microsoft.com/.default"}})
	}
	token, err := sign(s.Config().ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL+"/api/machines", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Token)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("status %d over %s, want 200 over HTTP/2, which is offered", resp.StatusCode, resp.Proto)
	}
	var failed *azidentity.AuthenticationFailedError
	if _, err := sign("wrong"); !errors.As(err, &failed) || failed.RawResponse.StatusCode != http.StatusUnauthorized {
		t.Errorf("error %v for a wrong secret, want a refusal with 401", err)
	}
}

func TestServerIsTrustedByItsAuthorityOnly(t *testing.T) {
	t.Parallel()
	v, _ := serve(t, simulator.New(simulator.Config{}))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(r)
	var untrusted x509.UnknownAuthorityError
	if !errors.As(err, &untrusted) {
		t.Errorf("reply %v, error %v; want an unknown authority", resp, err)
	}
}

func TestStartOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	if _, err := simulator.New(simulator.Config{}).Start("0.0.0.0:0"); !errors.Is(err, simulator.ErrNotLoopback) {
		t.Errorf("error %v, want ErrNotLoopback", err)
	}
	if _, err := simulator.New(simulator.Config{}).Start("nonsense"); err == nil {
		t.Error("listens on nonsense")
	}
}

// TestQuiet: a connection that is open may still bring a request, one that is not
// cannot.
func TestQuiet(t *testing.T) {
	t.Parallel()
	v, c := serve(t, simulator.New(simulator.Config{}))
	if err := v.Quiet(t.Context()); err != nil {
		t.Errorf("before the first connection: %v", err)
	}
	resp, err := c.Get(v.URL + "/nothing")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Quiet(over); !errors.Is(err, context.Canceled) {
		t.Errorf("with an idle connection: %v", err)
	}
	c.CloseIdleConnections()
	if err := v.Quiet(t.Context()); err != nil {
		t.Errorf("after the last: %v", err)
	}
}
