package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"offboard/internal/proof"
	"offboard/internal/simulator"
)

// tenantSecret has what encodings change.
const tenantSecret = "canary~client/secret+with=odd&chars"

var tokenForDays = simulator.TokenOptions{Life: 1000 * time.Hour}

// leakCases are all voices to all ways to sign in, or each to one of them.
func leakCases() (cases []leakCase) {
	logs := []string{"json", "console", "file"}
	for i, v := range voices() {
		var ways []credentials
		for _, s := range signIns() {
			if v.signIn && s.asks || !v.signIn && !s.wrong {
				ways = append(ways, s)
			}
		}
		if !proof.Torture() {
			ways = ways[i%len(ways):][:1]
		}
		for j, s := range ways {
			for _, log := range slices.Concat(logs[i%len(logs):], logs)[:proof.Cases(1, len(logs))] {
				cases = append(cases, leakCase{fmt.Sprintf("%s, %s, %d", v.name, s.name, j), s, v, log})
			}
		}
	}
	return cases
}

// voices are the ways in which what was told comes back.
func voices() []voice {
	all := []voice{
		{name: "a redirect with the token in its address", applies: isCall, say: func(w http.ResponseWriter, text string) {
			w.Header().Set("Location", "https://elsewhere.example/?token="+url.QueryEscape(text))
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		{name: "success with the token in every field", applies: isOrder, say: success},
		{name: "a list of tokens", applies: isCall, say: func(w http.ResponseWriter, text string) {
			_, _ = fmt.Fprintf(w, `{"value":[{"id":%[1]s,"type":"Offboard","status":%[1]s,"machineId":%[1]s,"requestorComment":%[1]s}]}`, inJSON(text))
		}},
		{name: "an answer that is no HTTP", applies: isCall, say: func(w http.ResponseWriter, text string) { raw(w, text+"\r\n\r\n") }},
		{name: "a header that is none", applies: isCall, say: func(w http.ResponseWriter, text string) {
			raw(w, "HTTP/1.1 200 OK\r\n"+text+"\r\n\r\n")
		}},
		{name: "an answer that is cut off", applies: isCall, say: func(w http.ResponseWriter, text string) {
			raw(w, "HTTP/1.1 500 X\r\nContent-Length: 9999\r\n\r\n"+envelope("X", text))
		}},
		{name: "no answer", applies: isCall, say: func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) }},
		{name: "no answer in time", applies: isCall, say: func(w http.ResponseWriter, _ string) { taken(w) }},
		{name: "a certificate that cannot be trusted", through: failing(func(r *http.Request) error {
			return &url.Error{Op: "Post", URL: r.URL.String(), Err: fmt.Errorf("%w: %s", x509.UnknownAuthorityError{}, r.Header)}
		})},
		{name: "a transport that quotes the request", through: failing(func(r *http.Request) error {
			return fmt.Errorf("proxyconnect: http://user:canary-proxy-password@proxy.example: %v", r.Header)
		})},
		{name: "a panic", through: panicking},
	}
	for _, status := range []int{200, 401, 500, 400, 403, 404, 408, 429, 502}[:proof.Cases(3, 9)] {
		for _, e := range echoes {
			all = append(all, voice{
				name: fmt.Sprintf("status %d with what was told %s", status, e.how), applies: isCall,
				say: func(w http.ResponseWriter, text string) { respond(w, status, envelope("E", e.form(text))) },
			})
		}
		all = append(all,
			voice{name: fmt.Sprintf("status %d that is no JSON", status), applies: isCall, say: func(w http.ResponseWriter, text string) {
				respond(w, status, `{"error":{"code":"`+text+`","message":`)
			}},
			voice{name: fmt.Sprintf("sign-in, status %d", status), applies: isSignIn, signIn: true, say: func(w http.ResponseWriter, text string) {
				entraFails(w, status, text)
			}})
	}
	return all
}

// echoes are the forms in which a text is repeated.
var echoes = []struct {
	how  string
	form func(string) string
}{
	{"word for word", func(s string) string { return "you sent Authorization: Bearer " + s }},
	{"in a query", func(s string) string { return "?client_secret=" + url.QueryEscape(s) }},
	{"in base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("u:" + s)) }},
	{"in digits", func(s string) string { return fmt.Sprintf("%x", s) }},
}

func inJSON(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func envelope(code, message string) string {
	return fmt.Sprintf(`{"error":{"code":%s,"message":%s,"target":%s}}`, inJSON(code+" "+message), inJSON(message), inJSON(message))
}

func respond(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func entraFails(w http.ResponseWriter, status int, text string) {
	said := "AADSTS7000215:"
	for _, e := range echoes {
		said += " " + e.form(text)
	}
	respond(w, status, fmt.Sprintf(`{"error":%[1]s,"error_description":%[1]s,"trace_id":%[1]s}`, inJSON(said)))
}

func success(w http.ResponseWriter, text string) {
	respond(w, http.StatusCreated, fmt.Sprintf(
		`{"id":%[1]s,"type":%[1]s,"status":%[1]s,"title":%[1]s,"requestor":%[1]s,"requestorComment":%[1]s,"machineId":%[1]s,"computerDnsName":%[1]s}`, inJSON(text)))
}

// raw writes to the connection itself.
func raw(w http.ResponseWriter, text string) {
	conn := taken(w)
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

// taken returns the connection, on which the server says nothing any more.
func taken(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// broken is a transport that fails the client instead of the tenant.
type broken func(*http.Request) (*http.Response, error)

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) { return b(r) }

func failing(with func(*http.Request) error) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return broken(func(r *http.Request) (*http.Response, error) {
			if isOrder(r) {
				return nil, with(r)
			}
			return base.RoundTrip(r)
		})
	}
}

// panicking panics with the request, in the worker's goroutine.
func panicking(base http.RoundTripper) http.RoundTripper {
	return broken(func(r *http.Request) (*http.Response, error) {
		if isOrder(r) {
			panic(errors.New(strings.Join(r.Header["Authorization"], " ")))
		}
		return base.RoundTrip(r)
	})
}
