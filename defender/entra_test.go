package defender

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// entra is a sign-in service for one tenant.
type entra struct {
	*httptest.Server
	mu     sync.Mutex
	forms  []url.Values // of the token requests
	life   int          // of a token, in seconds
	refuse func(w http.ResponseWriter, form url.Values) bool
}

func newEntra(t *testing.T) *entra {
	t.Helper()
	e := &entra{life: 3600}
	e.Server = tlsServer(t, e)
	return e
}

func (e *entra) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/" + tenant + "/v2.0/.well-known/openid-configuration":
		_, _ = fmt.Fprintf(w, `{"issuer":"%[1]s/v2.0","token_endpoint":"%[1]s/oauth2/v2.0/token","authorization_endpoint":"%[1]s/oauth2/v2.0/authorize"}`, e.URL+"/"+tenant)
	case "/" + tenant + "/oauth2/v2.0/devicecode":
		_, _ = io.WriteString(w, `{"user_code":"ABCD","device_code":"`+canary+`","verification_uri":"https://login.test","expires_in":900,"interval":1,"message":"enter ABCD"}`)
	case "/" + tenant + "/oauth2/v2.0/token":
		e.token(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (e *entra) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forms = append(e.forms, r.PostForm)
	if e.refuse != nil && e.refuse(w, r.PostForm) {
		return
	}
	_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":%d,"access_token":"token-%d","scope":"https://api.securitycenter.microsoft.com/.default"}`, e.life, len(e.forms))
}

func (e *entra) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.forms)
}

// config signs in to e with a client secret.
func (e *entra) config() AuthConfig {
	return AuthConfig{
		Method: AuthClientSecret, TenantID: tenant, ClientID: "11111111-2222-3333-4444-555555555555",
		ClientSecret: canary, AuthorityURL: e.URL, Transport: e.Client().Transport,
	}
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyPair returns a certificate with its key as PEM.
func keyPair(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "offboard"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return b.String()
}
