package defender

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A key that is given twice makes an action nobody's, unless both say the same.
func TestContradictingKeys(t *testing.T) {
	t.Parallel()
	const rest = `,"type":"Offboard","status":"Pending"}`
	for name, row := range map[string]struct {
		body string
		want Meaning
	}{
		"ours, then another's":     {`{"id":"1","machineId":"` + machine + `","machineId":"` + other + `"` + rest, Unknown},
		"another's, then ours":     {`{"id":"1","machineId":"` + other + `","machineId":"` + machine + `"` + rest, Unknown},
		"in another case":          {`{"id":"1","MachineID":"` + other + `","machineId":"` + machine + `"` + rest, Unknown},
		"escaped":                  {`{"id":"1","machine\u0049d":"` + other + `","machineId":"` + machine + `"` + rest, Unknown},
		"three of them":            {`{"id":"1","machineId":"` + machine + `","machineId":"` + other + `","machineId":"` + machine + `"` + rest, Unknown},
		"two ids":                  {`{"id":"1","id":"2","machineId":"` + machine + `"` + rest, Unknown},
		"an id and null":           {`{"id":"1","id":null,"machineId":"` + machine + `"` + rest, Unknown},
		"the same twice":           {`{"id":"1","id":"1","machineId":"` + machine + `"` + rest, Applied},
		"a field that nobody asks": {`{"id":"1","x":1,"x":2,"machineId":"` + machine + `"` + rest, Applied},
	} {
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, row.body)
		})
		_, err := c.Offboard(t.Context(), machine, "why")
		if row.want == Applied {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if e := problem(t, err); e.Meaning != row.want {
			t.Errorf("%s: %v", name, e.Meaning)
		}
	}
}

// In a list too: two values say nothing of a row, two comments show no mark, two
// errors are no refusal.
func TestContradictingLists(t *testing.T) {
	t.Parallel()
	var body string
	status := http.StatusOK
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	filter := ActionFilter{MachineID: machine, Type: TypeOffboard}
	row := strings.TrimSuffix(actionBody(machine), "}")
	body = `{"value":[` + actionBody(machine) + `],"value":[]}`
	if _, err := c.Actions(t.Context(), filter, Page{}); err == nil || problem(t, err).Meaning != Unknown {
		t.Errorf("two lists: %v", err)
	}
	body = `{"value":[` + row + `,"requestorComment":"[offboard c/1] why"}]}`
	if page, err := c.Actions(t.Context(), filter, Page{}); err != nil || len(page.Items) != 1 || page.Items[0].RequestorComment != "" {
		t.Errorf("two comments: %+v, %v", page, err)
	}
	status, body = http.StatusBadRequest, `{"error":{"code":"A"},"error":{"code":"B"}}`
	if _, err := c.Offboard(t.Context(), machine, "why"); problem(t, err).Meaning != Unknown {
		t.Errorf("two errors: %v", err)
	}
}

// Answers that only bytes on the wire can show.
func TestAnswersByHand(t *testing.T) {
	t.Parallel()
	body := actionBody(machine)
	head := func(length int, more string) string {
		return fmt.Sprintf("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n", length, more)
	}
	var preface bytes.Buffer // what an HTTP/2 server says first, then GOAWAY
	preface.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})
	preface.Write([]byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for name, row := range map[string]struct {
		answer string
		want   Meaning
	}{
		"whole":                    {head(len(body), "") + body, Applied},
		"length short by one":      {head(len(body)-1, "") + body, Unknown},
		"length long by one":       {head(len(body)+1, "") + body, Unknown},
		"negative length":          {head(-1, "") + body, Unknown},
		"two lengths":              {head(len(body), "Content-Length: 1\r\n") + body, Unknown},
		"chunk without an end":     {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(body), body), Unknown},
		"chunk of nonsense":        {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body, Unknown},
		"an endless header":        {"HTTP/1.1 201 Created\r\nX: " + strings.Repeat("x", 1<<20), Unknown},
		"many 1xx":                 {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20000) + head(len(body), "") + body, Unknown},
		"HTTP/2 frames and GOAWAY": {preface.String(), Unknown},
		"another protocol":         {"SSH-2.0-OpenSSH_9.9\r\n", Unknown},
		"deeply nested":            {head(400_000, "") + `{"a":` + strings.Repeat("[", 400_000-5), Unknown},
		"deeply nested in a field": {head(100_000, "") + `{"id":"1","machineId":` + strings.Repeat("[", 100_000-22), Unknown},
	} {
		w := rawServer(t, row.answer)
		_, err := newClient(t, "http://"+w.address, nil).Offboard(t.Context(), machine, "why")
		if n := w.requests.Load(); n != 1 {
			t.Errorf("%s: %d requests on the wire", name, n)
		}
		if row.want == Applied {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if e := problem(t, err); e.Meaning != row.want {
			t.Errorf("%s: %v, %v", name, e.Meaning, err)
		}
	}
}

// An answer that ends in a reset after any number of bytes: the whole of it may
// still be read, never another request be made.
func TestResetAtEachByteOfTheReply(t *testing.T) {
	t.Parallel()
	full := accepted201()
	for n := range len(full) + 1 {
		w := listen(t, func(conn net.Conn, _ *http.Request) bool {
			_, _ = conn.Write(full[:n])
			_ = conn.(*net.TCPConn).SetLinger(0)
			return false
		})
		_, err := newClient(t, "http://"+w.address, nil).Offboard(t.Context(), machine, "why")
		switch {
		case w.requests.Load() != 1:
			t.Fatalf("%d bytes: %d requests on the wire", n, w.requests.Load())
		case err == nil && n < len(full):
			t.Fatalf("%d bytes of %d pass for an answer", n, len(full))
		case err != nil && problem(t, err).Meaning != Unknown:
			t.Fatalf("%d bytes: %v, %v", n, problem(t, err).Meaning, err)
		}
	}
}

// A server that speaks nothing but HTTP/2 gets no request at all.
func TestServerOfHTTP2Alone(t *testing.T) {
	t.Parallel()
	served := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
	server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		for _, protocol := range hello.SupportedProtos {
			if protocol == "h2" {
				t.Error("we offer HTTP/2")
			}
		}
		return nil, errors.New("only HTTP/2 is spoken here")
	}}
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := newClient(t, server.URL, server.Client().Transport).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, ErrUnreachable) || served {
		t.Errorf("%v: %v", e.Meaning, err)
	}
}

// What keeps a connection from being made is no doubt: no file descriptors left,
// no name, no route.
func TestNoConnectionIsMade(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"no file descriptors":   &net.OpError{Op: "dial", Err: syscall.EMFILE},
		"none in the system":    &net.OpError{Op: "dial", Err: syscall.ENFILE},
		"no such name":          &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.invalid", IsNotFound: true}},
		"name server is silent": &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "api.invalid", IsTimeout: true}},
		"no route":              &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH},
		"no memory":             &net.OpError{Op: "dial", Err: syscall.ENOMEM},
	} {
		c := newClient(t, "http://localhost", &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, cause },
		})
		_, err := c.Offboard(t.Context(), machine, "why")
		if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, ErrUnreachable) || !errors.Is(err, ErrUnsent) {
			t.Errorf("%s: %v, %v", name, e.Meaning, err)
		}
	}
}

// A certificate that has run out is refused as one of nobody's is.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	server := tlsServer(t, http.NotFoundHandler())
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Time = func() time.Time { return time.Now().AddDate(200, 0, 0) }
	_, err := newClient(t, server.URL, transport).Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != Stop || !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("%v: %v", e.Meaning, err)
	}
}
