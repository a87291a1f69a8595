package defender

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestCAFile(t *testing.T) {
	t.Parallel()
	server := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(actionBody(machine)))
	}))
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	transport, err := NewTransport(write(t, "ca.pem", authority), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(t, server.URL, transport).Offboard(t.Context(), machine, "why"); err != nil {
		t.Errorf("%v", err)
	}
	for _, path := range []string{"/does/not/exist", write(t, "empty.pem", "no certificate")} {
		if _, err := NewTransport(path, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Over a proxy too: the certificate is the API's, and a proxy that wants
// a sign-in was sent nothing of the request.
func TestProxy(t *testing.T) {
	t.Parallel()
	proxy := rawServer(t, "HTTP/1.1 407 not user:"+canary+"\r\nContent-Length: 0\r\n\r\n")
	asked := ""
	transport, err := NewTransport("", func(r *http.Request) (*url.URL, error) {
		asked = r.URL.Host
		return url.Parse("http://user:" + canary + "@" + proxy.address)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = newClient(t, "https://api.example.com", transport).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), canary) {
		t.Errorf("%v, %v", e.Meaning, err)
	}
	if asked != "api.example.com" || proxy.requests.Load() != 1 {
		t.Errorf("asked for %q, %d requests", asked, proxy.requests.Load())
	}
}

func TestTransportIsCopied(t *testing.T) {
	t.Parallel()
	ours := &http.Transport{ForceAttemptHTTP2: true}
	newClient(t, "https://api.example.com", ours)
	if !ours.ForceAttemptHTTP2 || ours.DialContext != nil || ours.Protocols != nil {
		t.Errorf("the caller's transport was changed")
	}
}
