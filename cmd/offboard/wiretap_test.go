package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
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

// wiretap stands before a tenant. It knows every secret that comes by, and says
// what its voice has it say.
type wiretap struct {
	next  http.Handler
	voice voice

	mu       sync.Mutex
	secrets  canaries
	left     int // things to say to the present command
	said     int
	posted   []byte // to the receiver
	proxyURL *url.URL
}

// voice answers in the tenant's stead, with the secrets that it was told in text.
type voice struct {
	name    string
	signIn  bool // it speaks to who signs in
	applies func(*http.Request) bool
	say     func(w http.ResponseWriter, text string)
	through func(http.RoundTripper) http.RoundTripper // breaks the client's side instead; may be nil
}

// listen makes room for some more to be said: enough to be heard by each kind of
// request, and not so much that nothing ever ends.
func (t *wiretap) listen() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = 4
}

func (t *wiretap) heard() (canaries, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.secrets), t.said
}

func (t *wiretap) tell(what, secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if secret != "" {
		t.secrets[what] = secret
	}
}

func (t *wiretap) proxy(*http.Request) (*url.URL, error) { return t.proxyURL, nil }

func (t *wiretap) around(base http.RoundTripper) http.RoundTripper {
	if t.voice.through == nil {
		return base
	}
	return counting{t, t.voice.through(base)}
}

type counting struct {
	tap *wiretap
	http.RoundTripper
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.tap.tell("the token", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	c.tap.mu.Lock()
	c.tap.said++
	c.tap.mu.Unlock()
	return c.RoundTripper.RoundTrip(r)
}

// ServeHTTP takes note of what came, and answers or has the tenant answer.
func (t *wiretap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Host == signInHost {
		r.TLS = &tls.ConnectionState{} // it came by TLS as far as the client is concerned
	}
	if r.Host == noticeHost {
		t.answerNotice(w, r, body)
		return
	}
	told := t.overhear(r, string(body))
	if t.turn(r) {
		t.voice.say(w, strings.Join(told, " "))
		return
	}
	t.pass(w, r)
}

// overhear returns the secrets in a request.
func (t *wiretap) overhear(r *http.Request, body string) (told []string) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	basic, _ := strings.CutPrefix(r.Header.Get("Proxy-Authorization"), "Basic ")
	decoded, _ := base64.StdEncoding.DecodeString(basic)
	_, password, _ := strings.Cut(string(decoded), ":")
	form, err := url.ParseQuery(body)
	if err != nil {
		form = nil
	}
	for _, s := range [][2]string{
		{"the token", token}, {"the proxy's header", basic}, {"the proxy's password", password},
		{"the client secret", form.Get("client_secret")}, {"the assertion", form.Get("client_assertion")},
	} {
		if s[1] != "" {
			t.tell(s[0], s[1])
			told = append(told, s[1])
		}
	}
	return told
}

// answerNotice answers what is posted to the link in the voice's way, with the link.
func (t *wiretap) answerNotice(w http.ResponseWriter, r *http.Request, body []byte) {
	t.mu.Lock()
	t.posted = append(append(t.posted, body...), '\n')
	t.mu.Unlock()
	t.tell("the link's path", r.URL.Path)
	t.tell("the link's query", r.URL.RawQuery)
	t.tell("the link's signature", r.URL.Query().Get("sig"))
	text := r.RequestURI + " " + r.Header.Get("webhook-signature")
	if t.voice.say == nil {
		respond(w, http.StatusInternalServerError, text)
		return
	}
	t.voice.say(w, text)
}

// turn says whether it is ours to answer.
func (t *wiretap) turn(r *http.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == 0 || t.voice.say == nil || !t.voice.applies(r) {
		return false
	}
	t.left--
	t.said++
	return true
}

// pass has the tenant answer, and takes note of a token that it issues.
func (t *wiretap) pass(w http.ResponseWriter, r *http.Request) {
	if !isSignIn(r) {
		t.next.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	t.next.ServeHTTP(answer, r)
	var issued struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(answer.Body.Bytes(), &issued) == nil {
		t.tell("an issued token", issued.Token)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

const signInHost = "login.simulated.example"

func isSignIn(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/token") }
func isCall(r *http.Request) bool   { return strings.HasPrefix(r.URL.Path, "/api/") }
func isOrder(r *http.Request) bool  { return isCall(r) && r.Method == http.MethodPost }

// credentials gives the commands something to sign in with.
type credentials struct {
	name  string
	asks  bool // for a token
	wrong bool // and gets none
	give  func(*testing.T, *virtualTenant, *wiretap)
}

var readyToken = credentials{"ready token", false, false, func(_ *testing.T, v *virtualTenant, tap *wiretap) {
	v.env["OFFBOARD_TOKEN"] = tap.token(v)
}}

func (t *wiretap) token(v *virtualTenant) string {
	token := v.sim.IssueToken(tokenForDays)
	t.tell("the ready token", token)
	t.tell("its signature", token[strings.LastIndexByte(token, '.')+1:])
	return token
}

// asApp points the sign-in at the tenant.
func asApp(v *virtualTenant) {
	v.env["AZURE_CLIENT_ID"] = v.sim.Config().ClientID
	v.env["AZURE_AUTHORITY_HOST"] = "https://" + signInHost
}

func signIns() []credentials {
	return []credentials{
		readyToken,
		{"token file", false, false, func(t *testing.T, v *virtualTenant, tap *wiretap) {
			t.Helper()
			v.env["OFFBOARD_TOKEN_FILE"] = secretFile(t, tap.token(v)+"\n")
		}},
		{"client secret", true, false, func(_ *testing.T, v *virtualTenant, tap *wiretap) {
			asApp(v)
			v.env["AZURE_CLIENT_SECRET"] = tenantSecret
			tap.tell("the client secret", tenantSecret)
		}},
		{"wrong secret", true, true, func(_ *testing.T, v *virtualTenant, tap *wiretap) {
			asApp(v)
			v.env["AZURE_CLIENT_SECRET"] = "canary/wrong+secret"
			tap.tell("the wrong secret", "canary/wrong+secret")
		}},
		{"client secret file", true, false, func(t *testing.T, v *virtualTenant, tap *wiretap) {
			t.Helper()
			asApp(v)
			v.env["OFFBOARD_CLIENT_SECRET_FILE"] = secretFile(t, tenantSecret+"\n")
			tap.tell("the client secret", tenantSecret)
		}},
		{"profile with a secret of its own", true, false, func(t *testing.T, v *virtualTenant, tap *wiretap) {
			t.Helper()
			path := filepath.Join(v.dir, "offboard.yaml")
			text := fmt.Sprintf("profiles: {north: {tenant: %s, client-id: %s, authority-url: 'https://%s', credentials: {client-secret-variable: NORTH}}}",
				v.sim.Config().TenantID, v.sim.Config().ClientID, signInHost)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			v.env["OFFBOARD_CONFIG"], v.env["NORTH"], v.env["AZURE_CLIENT_SECRET"] = path, tenantSecret, "canary-of-another-tenant"
			tap.tell("the client secret", tenantSecret)
			tap.tell("another tenant's secret", "canary-of-another-tenant")
		}},
		{"certificate", true, false, certificate},
		{"certificate and a password that it does not have", true, true, func(t *testing.T, v *virtualTenant, tap *wiretap) {
			t.Helper()
			certificate(t, v, tap)
			v.env["AZURE_CLIENT_CERTIFICATE_PASSWORD"] = "canary-certificate-password"
			tap.tell("the certificate's password", "canary-certificate-password")
		}},
		{"behind a proxy", false, false, func(_ *testing.T, v *virtualTenant, tap *wiretap) {
			v.env["OFFBOARD_TOKEN"] = tap.token(v)
			v.env["OFFBOARD_API_URL"] = "http://localhost"
			tap.proxyURL = &url.URL{Scheme: "http", Host: "proxy.example", User: url.UserPassword("user", "canary-proxy-password")}
			tap.tell("the proxy's password", "canary-proxy-password")
		}},
	}
}

func certificate(t *testing.T, v *virtualTenant, tap *wiretap) {
	t.Helper()
	asApp(v)
	key := privateKey()
	v.env["AZURE_CLIENT_CERTIFICATE_PATH"] = secretFile(t, key)
	_, lines, _ := strings.Cut(key, "PRIVATE KEY-----\n")
	tap.tell("the key", strings.Split(lines, "\n")[3])
}

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// privateKey is a certificate with its key, made once.
var privateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "offboard"}, NotAfter: time.Now().AddDate(100, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})
