package dashboard

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet is a source of so many machines.
type fleet struct {
	mu       sync.Mutex
	machines []Machine
	did      []string
	refuse   error
	reads    int
}

func newFleet(n int) *fleet {
	f := &fleet{}
	for i := range n {
		f.machines = append(f.machines, Machine{
			ID: fmt.Sprintf("%040x", i*7919%n), Name: fmt.Sprintf("Host-%05d", i), Row: i + 1, State: []string{"planned", "accepted", "failed"}[i%3],
			Attempts: i % 2, Updated: time.Unix(int64(n-i), 0), Carried: []string{fmt.Sprintf("owner %d", i%10)},
		})
	}
	return f
}

func (f *fleet) Snapshot() (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return map[string]int{"did": len(f.did)}, nil
}

func (f *fleet) Sample() (Sample, bool) {
	return Sample{At: time.Now().UTC(), Used: []int{1, 2}}, true
}

func (f *fleet) Columns() []string { return []string{"owner"} }

func (f *fleet) Machines() iter.Seq2[Machine, error] {
	return func(yield func(Machine, error) bool) {
		f.mu.Lock()
		f.reads++
		machines := f.machines
		f.mu.Unlock()
		for _, m := range machines {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (f *fleet) Page(ids []string) (page []Machine, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		for _, m := range f.machines {
			if m.ID == id {
				page = append(page, m)
			}
		}
	}
	return page, nil
}

func (f *fleet) act(what, who string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse == nil {
		f.did = append(f.did, what+" by "+who)
	}
	return f.refuse
}

func (f *fleet) Stop(who string) error    { return f.act("stop", who) }
func (f *fleet) Pause(who string) error   { return f.act("pause", who) }
func (f *fleet) Unpause(who string) error { return f.act("unpause", who) }

// served is a page of a fleet.
type served struct {
	*Server
	t     *testing.T
	fleet *fleet
	url   string
}

var testStates = []string{"planned", "accepted", "failed"}

func serve(t *testing.T, f *fleet) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Serve(l, f, Options{Controls: f, Who: "somebody", States: testStates, Handlers: map[string]http.Handler{
		"GET /metrics": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "counted") }),
	}}), t, f, "http://" + l.Addr().String()}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ask sends a request with the token, changed as a test wants it.
func (s *served) ask(method, path string, change func(*http.Request)) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader("{}"))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return w.StatusCode, w.Header, string(body)
}

func (s *served) expect(want int, method, path string, change func(*http.Request)) string {
	s.t.Helper()
	code, _, body := s.ask(method, path, change)
	if code != want {
		s.t.Errorf("%s %s: %d; want %d: %.200s", method, path, code, want, body)
	}
	return body
}

// TestStrangers: without the token nothing is told and nothing is done; with it
// nothing is done for another site, or under a name that is not ours.
func TestStrangers(t *testing.T) {
	t.Parallel()
	f := newFleet(10)
	s := serve(t, f)
	for _, path := range []string{"/api/machines", "/api/columns", "/api/events"} {
		for _, auth := range []string{"", "Bearer ", "Bearer " + s.token[1:], "Basic " + s.token, s.token} {
			s.expect(http.StatusUnauthorized, "GET", path, func(r *http.Request) { r.Header.Set("Authorization", auth) })
		}
	}
	for _, path := range []string{"/api/stop", "/api/pause", "/api/unpause"} {
		s.expect(http.StatusUnauthorized, "POST", path, func(r *http.Request) { r.Header.Del("Authorization") })
		s.expect(http.StatusForbidden, "POST", path, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
		s.expect(http.StatusForbidden, "POST", path, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") })
		s.expect(http.StatusForbidden, "POST", path, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") })
		s.expect(http.StatusForbidden, "POST", path, func(r *http.Request) { r.Header.Set("Origin", "null") })
		for _, form := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"} {
			s.expect(http.StatusUnsupportedMediaType, "POST", path, func(r *http.Request) { r.Header.Set("Content-Type", form) })
		}
		s.expect(http.StatusNotFound, "GET", path, nil) // it is no file
	}
	for _, host := range []string{"evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example:80", ""} {
		// The library's client fills an empty host in.
		if code := rawHost(t, s, host); code != http.StatusMisdirectedRequest && code != http.StatusBadRequest {
			t.Errorf("Host %q: %d", host, code)
		}
	}
	for _, host := range []string{"127.0.0.1:1", "localhost", "LOCALHOST:9000", "[::1]:80", "10.0.0.5:8765"} {
		if code := rawHost(t, s, host); code != http.StatusOK {
			t.Errorf("Host %q: %d", host, code)
		}
	}
	if len(f.did) > 0 {
		t.Errorf("strangers did %v", f.did)
	}
	if body := s.expect(http.StatusOK, "POST", "/api/pause", func(r *http.Request) { r.Header.Set("Origin", s.url); r.Header.Set("Sec-Fetch-Site", "same-origin") }); body != "{}" {
		t.Error(body)
	}
	s.expect(http.StatusOK, "POST", "/api/stop", nil)
	if len(f.did) != 2 || f.did[0] != "pause by somebody" || f.did[1] != "stop by somebody" {
		t.Errorf("it did %v", f.did)
	}
	f.refuse = errors.New("not now")
	if body := s.expect(http.StatusConflict, "POST", "/api/unpause", nil); body != `{"error":"not now"}` {
		t.Error(body)
	}
}

func rawHost(t *testing.T, s *served, host string) int {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		t.Fatal(err)
	}
	w, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	return w.StatusCode
}

// TestHeaders: every answer carries the policy, and no other site may read it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, newFleet(1))
	for _, path := range []string{"/", "/page.js", "/page.css", "/uplot/uPlot.iife.min.js", "/nothing", "/api/machines", "/metrics", "/uplot/"} {
		code, head, _ := s.ask("GET", path, nil)
		csp := head.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || head.Get("Access-Control-Allow-Origin") != "" || head.Get("Set-Cookie") != "" || (code == http.StatusOK && head.Get("Cache-Control") != "no-store") ||
			head.Get("Referrer-Policy") != "no-referrer" || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, head)
		}
		if missing := path == "/nothing" || path == "/uplot/"; (code == http.StatusNotFound) != missing {
			t.Errorf("%s: %d", path, code)
		}
	}
	s.expect(http.StatusMethodNotAllowed, "PUT", "/page.js", nil)
	if body := s.expect(http.StatusOK, "GET", "/metrics", func(r *http.Request) { r.Header.Del("Authorization") }); body != "counted" {
		t.Error(body)
	}
}

// TestLink: the token is long, another one each time, and only in the fragment.
func TestLink(t *testing.T) {
	t.Parallel()
	s, other := serve(t, newFleet(1)), serve(t, newFleet(1))
	u, err := url.Parse(s.Link(""))
	if err != nil || len(u.Fragment) != 64 || u.RawQuery != "" || u.Host != s.address || u.Fragment == other.token {
		t.Errorf("%s, %v", u, err)
	}
	if link := s.Link("jump.example"); !strings.HasPrefix(link, "http://jump.example:") {
		t.Error(link)
	}
}

// TestUPlot: what is embedded is what was published.
func TestUPlot(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"LICENSE":           "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
		"uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		data, err := static.ReadFile("static/uplot/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is another file", name)
		}
	}
	page, err := static.ReadFile("static/index.html")
	if err != nil || bytes.Contains(page, []byte("//")) {
		t.Errorf("the page names another host, or cannot be read: %v", err)
	}
}

// got asks for a page of the table.
func (s *served) got(query string) (p tablePage) {
	s.t.Helper()
	body := s.expect(http.StatusOK, "GET", "/api/machines?"+query, nil)
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (p tablePage) names() (names []string) {
	for _, m := range p.Machines {
		names = append(names, m.Name)
	}
	return names
}

// TestTable searches, sorts and pages.
func TestTable(t *testing.T) {
	t.Parallel()
	s := serve(t, newFleet(100))
	for query, want := range map[string]string{
		"":                                  "100 of 100 from 0: [Host-00000 Host-00001]",
		"limit=0":                           "100 of 100 from 0: []",
		"offset=98":                         "100 of 100 from 98: [Host-00098 Host-00099]",
		"offset=1000":                       "100 of 100 from 100: []",
		"offset=-3&limit=-1":                "100 of 100 from 0: [Host-00000 Host-00001]",
		"q=hOST-0009":                       "10 of 100 from 0: [Host-00090 Host-00091]",
		"q=OWNER+++host-00095":              "1 of 100 from 0: [Host-00095]",
		"q=nobody":                          "0 of 100 from 0: []",
		"state=failed":                      "33 of 100 from 0: [Host-00002 Host-00005]",
		"state=unheard-of":                  "0 of 100 from 0: []",
		"state=accepted&sort=row&desc=1":    "33 of 100 from 0: [Host-00097 Host-00094]",
		"sort=name&desc=1":                  "100 of 100 from 0: [Host-00099 Host-00098]",
		"sort=state&desc=1":                 "100 of 100 from 0: [Host-00002 Host-00005]",
		"sort=updated_at":                   "100 of 100 from 0: [Host-00099 Host-00098]",
		"sort=attempts&desc=1":              "100 of 100 from 0: [Host-00001 Host-00003]",
		"sort=carried:0&desc=1":             "100 of 100 from 0: [Host-00009 Host-00019]",
		"sort=carried:99":                   "100 of 100 from 0: [Host-00000 Host-00001]",
		"sort=carried:99999999999999999999": "100 of 100 from 0: [Host-00000 Host-00001]",
		"sort=machine_id":                   "100 of 100 from 0: [Host-00000 Host-00079]",
		"sort=nonsense":                     "100 of 100 from 0: [Host-00000 Host-00001]",
	} {
		p := s.got(query)
		names := p.names()
		if got := fmt.Sprintf("%d of %d from %d: %v", p.Matching, p.Total, p.Offset, names[:min(2, len(names))]); got != want {
			t.Errorf("%q: %s; want %s", query, got, want)
		}
	}
	if p := s.got("limit=100000"); len(p.Machines) != 100 {
		t.Errorf("%d machines", len(p.Machines))
	}
	if s.fleet.reads != 1 {
		t.Errorf("all machines were read %d times", s.fleet.reads)
	}
}
