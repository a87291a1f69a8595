package defender

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOffboardOnTheWire(t *testing.T) {
	t.Parallel()
	comment := `[offboard summer/1] "lease" ended <éè>`
	c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.RequestURI != "/api/machines/"+machine+"/offboard" {
			t.Errorf("%s %s", r.Method, r.RequestURI)
		}
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !reflect.DeepEqual(body, map[string]string{"Comment": comment}) {
			t.Errorf("body is %v, %v", body, err)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer " + canary, "Content-Type": "application/json", "User-Agent": "offboard",
			"Accept": "application/json", "Accept-Encoding": "", "Idempotency-Key": "", "X-Idempotency-Key": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(sample(t, "action.json"))
	})
	a, err := c.Offboard(t.Context(), machine, comment)
	if err != nil || a.MachineID != machine || a.Status != StatusPending || a.Final() || calls.Load() != 1 {
		t.Errorf("%+v, %v after %d calls", a, err, calls.Load())
	}
}

func TestOffboardAnswers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		want   Meaning
	}{
		"200":                      {200, actionBody(machine), Applied},
		"upper case":               {201, actionBody(strings.ToUpper(machine)), Applied},
		"no type":                  {201, `{"id":"1","machineId":"` + machine + `"}`, Applied},
		"an existing action":       {200, `{"id":"1","type":"Offboard","status":"InProgress","machineId":"` + machine + `"}`, Applied},
		"another machine's action": {201, actionBody(other), Unknown},
		"no machine":               {201, `{"id":"1","type":"Offboard","machineId":null}`, Unknown},
		"no id":                    {201, `{"type":"Offboard","machineId":"` + machine + `"}`, Unknown},
		"another type":             {201, `{"id":"1","type":"Isolate","machineId":"` + machine + `"}`, Unknown},
		"empty":                    {201, ``, Unknown},
		"204":                      {204, ``, Unknown},
		"no JSON":                  {200, `<html>welcome to the hotel</html>`, Unknown},
		"a list":                   {200, `[]`, Unknown},
		"null":                     {200, `null`, Unknown},
		"two objects":              {200, actionBody(machine) + actionBody(machine), Unknown},
		"deeply nested":            {200, strings.Repeat("[", 200000), Unknown},
		"huge":                     {200, `{"id":"1","title":"` + strings.Repeat("x", maxAnswer) + `"}`, Unknown},
		"not found":                {404, notFoundBody, Refused},
		"under way":                {400, activeBody, AlreadyActive},
		"missing role":             {403, forbiddenBody, Stop},
		"500":                      {500, ``, Unknown},
	} {
		c, calls := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body)
		})
		a, err := c.Offboard(t.Context(), machine, "why")
		if row.want == Applied {
			if err != nil || a.ID == "" {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
			continue
		}
		e := problem(t, err)
		if e.Meaning != row.want || e.Status != row.status || calls.Load() != 1 || a.ID != "" {
			t.Errorf("%s: %v (HTTP %d) after %d calls: %v", name, e.Meaning, e.Status, calls.Load(), err)
		}
	}
}

func TestThrottled(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "12")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, quotaBody)
	})
	_, err := c.Machines(t.Context(), MachineFilter{}, Page{})
	e := problem(t, err)
	if !errors.Is(err, ErrThrottled) || e.Meaning != NotApplied || e.RetryAfter != 12*time.Second || e.Period != time.Minute ||
		e.Code != "429" || e.Target != "t" {
		t.Errorf("%+v", e)
	}
}

// A compressed answer that nobody asked for is not unfolded.
func TestGzipBomb(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(z, actionBody(machine))
	_, _ = io.CopyN(z, zeros{}, 4<<20)
	_ = z.Close()
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	a := c.exchange(t.Context(), call{op: opOffboard, method: http.MethodPost, path: "/api/x", limit: maxAnswer}, canary)
	if !bytes.Equal(a.body, bomb.Bytes()) || a.err != nil {
		t.Errorf("%d bytes became %d (%v)", bomb.Len(), len(a.body), a.err)
	}
	_, err := c.Offboard(t.Context(), machine, "why")
	if e := problem(t, err); e.Meaning != Unknown {
		t.Errorf("%v", e.Meaning)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUnusableArguments(t *testing.T) {
	t.Parallel()
	c, calls := serve(t, func(http.ResponseWriter, *http.Request) {})
	ctx := t.Context()
	_, name := c.Offboard(ctx, "host1.contoso.com", "why")
	_, upper := c.Offboard(ctx, strings.ToUpper(machine), "why")
	_, comment := c.Offboard(ctx, machine, " ")
	_, action := c.Action(ctx, "../machines")
	_, cancel := c.Cancel(ctx, "a/b", "why")
	_, uncommented := c.Cancel(ctx, actID, "")
	_, top := c.Actions(ctx, ActionFilter{}, Page{Top: MaxPage + 1})
	_, skip := c.Machines(ctx, MachineFilter{}, Page{Skip: -1})
	for i, err := range []error{name, upper, comment, action, cancel, uncommented, top, skip} {
		if e := problem(t, err); !errors.Is(err, ErrInput) || e.Meaning != Refused || e.Status != 0 {
			t.Errorf("%d: %v, %v", i, e.Meaning, err)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls were made", calls.Load())
	}
}

func TestActionAndCancel(t *testing.T) {
	t.Parallel()
	var seen []string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, r.Method+" "+r.URL.Path+" "+string(body))
		if strings.Contains(r.URL.Path, "missing") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"code":"ResourceNotFound","message":"no such action"}}`)
			return
		}
		_, _ = io.WriteString(w, actionBody(machine))
	})
	ctx := t.Context()
	if a, err := c.Action(ctx, actID); err != nil || a.ID != actID {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := c.Cancel(ctx, actID, "changed our mind"); err != nil || a.ID != actID {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := c.Action(ctx, "missing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := c.Cancel(ctx, "missing", "why"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	_, err := c.Action(ctx, "another")
	if e := problem(t, err); e.Meaning != Unknown || !errors.Is(err, ErrUnfit) {
		t.Errorf("another action: %v", err)
	}
	want := []string{
		"GET /api/machineactions/" + actID + " ",
		"POST /api/machineactions/" + actID + `/cancel {"Comment":"changed our mind"}`,
		"GET /api/machineactions/missing ", `POST /api/machineactions/missing/cancel {"Comment":"why"}`,
		"GET /api/machineactions/another ",
	}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("got  %q\nwant %q", seen, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	source := &fixed{}
	for _, c := range []Config{
		{APIURL: "http://api.security.microsoft.com", Tokens: source},
		{APIURL: "http://localhost.example.com", Tokens: source},
		{APIURL: "http://10.0.0.1", Tokens: source},
		{APIURL: "https://user:" + canary + "@api.example.com", Tokens: source},
		{APIURL: "https://api.example.com/?x=1", Tokens: source},
		{APIURL: "https://" + canary + "\x7f", Tokens: source},
		{APIURL: "ftp://api.example.com", Tokens: source},
		{APIURL: "api.example.com", Tokens: source},
		{APIURL: "", Tokens: source},
		{APIURL: "https://api.example.com"},
		{APIURL: "https://api.example.com", Tokens: source, Timeout: -1},
		{APIURL: "https://api.example.com", Tokens: source, UserAgent: "a\r\nb"},
	} {
		_, err := New(c)
		if !errors.Is(err, ErrConfig) || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", c.APIURL, err)
		}
	}
	for _, address := range []string{
		"https://api.example.com/", "https://api.example.com/base/", "http://localhost:8080", "http://127.9.9.9", "http://[::1]:1",
	} {
		c, err := New(Config{APIURL: address, Tokens: source})
		if err != nil || strings.HasSuffix(c.root, "/") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// piped runs a client inside a synctest bubble against a server that gets each
// connection. Ends when the server returns.
func piped(t *testing.T, dial func(context.Context) (net.Conn, error)) *Client {
	t.Helper()
	return newClient(t, "http://127.0.0.1", &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	full := accepted201()
	head := full[:bytes.Index(full, []byte("\r\n\r\n"))+4]
	drip := func(conn net.Conn, data []byte) {
		for _, b := range data {
			<-time.After(time.Second)
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
		}
	}
	server := func(answer func(net.Conn)) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				if _, err := far.Read(make([]byte, 4096)); err == nil {
					answer(far)
				}
			}()
			return near, nil
		}
	}
	for _, row := range []struct {
		name string
		dial func(context.Context) (net.Conn, error)
		want Meaning
		is   error
	}{
		{"a body that drips", server(func(c net.Conn) { _, _ = c.Write(head); drip(c, full[len(head):]) }), Unknown, context.DeadlineExceeded},
		{"a header that drips", server(func(c net.Conn) { drip(c, full) }), Unknown, context.DeadlineExceeded},
		{"no answer", server(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), Unknown, context.DeadlineExceeded},
		{"no connection", func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, NotApplied, ErrUnreachable},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, row.dial)
				began := time.Now()
				_, err := c.Offboard(t.Context(), machine, "why")
				if e := problem(t, err); e.Meaning != row.want || !errors.Is(err, row.is) {
					t.Errorf("%v: %v", e.Meaning, err)
				}
				if took := time.Since(began); took != DefaultTimeout {
					t.Errorf("took %v", took)
				}
				<-time.After(2 * time.Second) // the server has to notice before the bubble ends
			})
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w := listen(t, func(conn net.Conn, _ *http.Request) bool {
		cancel()
		_, err := conn.Read(make([]byte, 1))
		return err == nil
	})
	c := newClient(t, "http://"+w.address, nil)
	_, during := c.Offboard(ctx, machine, "why")
	if e := problem(t, during); e.Meaning != Unknown || !errors.Is(during, context.Canceled) {
		t.Errorf("during: %v, %v", e.Meaning, during)
	}
	_, before := c.Offboard(ctx, machine, "why")
	if e := problem(t, before); e.Meaning != NotApplied || !errors.Is(before, ErrUnsent) ||
		!errors.Is(before, context.Canceled) || errors.Is(before, ErrUnreachable) {
		t.Errorf("before: %v, %v", e.Meaning, before)
	}
	if w.requests.Load() != 1 {
		t.Errorf("%d requests", w.requests.Load())
	}
}

// Whatever is asked for in the place of an id, no other path is ever called.
func FuzzID(f *testing.F) {
	for _, seed := range []string{machine, "../" + machine, machine + "?x", machine + "%2f", "'", "a/b", machine + "\n", "", "..", "%2e%2e", actID} {
		f.Add(seed)
	}
	var path string
	c, calls := serve(f, func(w http.ResponseWriter, r *http.Request) {
		path = r.RequestURI
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
	f.Fuzz(func(t *testing.T, id string) {
		for want, do := range map[string]func() error{
			fmt.Sprintf("/api/machines/%s/offboard", id): func() error {
				_, err := c.Offboard(t.Context(), id, "why")
				return err
			},
			fmt.Sprintf("/api/machineactions/%s", id): func() error { _, err := c.Action(t.Context(), id); return err },
		} {
			before := calls.Load()
			err := do()
			if errors.Is(err, ErrInput) != (calls.Load() == before) {
				t.Fatalf("%q: %v after %d calls", id, err, calls.Load()-before)
			}
			if calls.Load() != before && path != want {
				t.Fatalf("%q became %q", id, path)
			}
		}
	})
}
