package defender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// guarded is an API that accepts what good says.
func guarded(t *testing.T, source TokenSource, good func(token string) bool) *Client {
	t.Helper()
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if good(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
			_, _ = io.WriteString(w, `{"value":[]}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":"Unauthorized","message":"you sent `+r.Header.Get("Authorization")+`"}}`)
	})
	c.bearer.source = source
	return c
}

func ask(t *testing.T, c *Client) error {
	t.Helper()
	_, err := c.Actions(t.Context(), ActionFilter{}, Page{})
	return err
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	source := &fixed{}
	c := guarded(t, source, func(token string) bool { return token != canary })
	err := ask(t, c)
	if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, ErrTokenRefused) || strings.Contains(err.Error(), canary) {
		t.Errorf("%v: %v", e.Meaning, err)
	}
	if err := ask(t, c); err != nil {
		t.Errorf("with a fresh token: %v", err)
	}
	if len(source.refused) != 1 || source.refused[0] != canary {
		t.Errorf("refused: %v", source.refused)
	}
}

func TestRefusedFreshTokenStops(t *testing.T) {
	t.Parallel()
	source := &fixed{}
	c := guarded(t, source, func(string) bool { return false })
	first, second := ask(t, c), ask(t, c)
	if problem(t, first).Meaning != NotApplied || problem(t, second).Meaning != Stop || problem(t, second).Hint == "" {
		t.Errorf("%v, then %v", first, second)
	}
	if len(source.refused) != 1 {
		t.Errorf("%d tokens were refused", len(source.refused))
	}
}

// Tokens expire over and over in a long run; each was good for a while.
func TestTokenExpiresAgainAndAgain(t *testing.T) {
	t.Parallel()
	source := &fixed{}
	var good string
	c := guarded(t, source, func(token string) bool { return token == good })
	for n := range 5 {
		good = fmt.Sprintf("%s-%d", canary, n)
		if n > 0 {
			if err := ask(t, c); problem(t, err).Meaning != NotApplied {
				t.Fatalf("expiry %d: %v", n, err)
			}
		} else {
			good = canary
		}
		if err := ask(t, c); err != nil {
			t.Fatalf("after expiry %d: %v", n, err)
		}
	}
	if len(source.refused) != 4 {
		t.Errorf("%d tokens were refused", len(source.refused))
	}
}

// Many requests in flight with an expired token lead to one new token, and none
// of them to a stop.
func TestOneRefreshForAllWorkers(t *testing.T) {
	t.Parallel()
	const workers = 16
	source := &fixed{}
	var arrived sync.WaitGroup
	arrived.Add(workers)
	c := guarded(t, source, func(token string) bool {
		if token == canary {
			arrived.Done()
			arrived.Wait() // so that all of them hold the old token
			return false
		}
		return true
	})
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			if err := ask(t, c); err == nil || problem(t, err).Meaning != NotApplied {
				t.Errorf("old token: %v", err)
			}
			if err := ask(t, c); err != nil {
				t.Errorf("new token: %v", err)
			}
		})
	}
	all.Wait()
	if len(source.refused) != 1 {
		t.Errorf("%d tokens were refused", len(source.refused))
	}
}

// A 500 proves nothing about a token.
func TestProof(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]Meaning{200: NotApplied, 404: NotApplied, 403: NotApplied, 429: Stop, 503: Stop} {
		b := &bearer{source: &fixed{}, proven: true}
		old, _ := b.pass(t.Context())
		b.answered(old, 401)
		fresh, _ := b.pass(t.Context())
		b.answered(fresh, status)
		a := answer{status: 401, stale: b.answered(fresh, 401)}
		if got := a.meaning(); got != want {
			t.Errorf("401 after %d: %v, want %v", status, got, want)
		}
	}
}

type failing struct {
	err   error
	token string
}

func (f failing) Token(context.Context) (AccessToken, error) {
	return AccessToken{Value: f.token}, f.err
}
func (failing) Refuse(string) {}

func TestNoToken(t *testing.T) {
	t.Parallel()
	c, calls := serve(t, func(http.ResponseWriter, *http.Request) {})
	known := &Error{Op: opSignIn, Meaning: NotApplied, Err: ErrUnreachable}
	for name, row := range map[string]struct {
		source failing
		want   Meaning
		is     error
	}{
		"a known error":     {failing{err: known}, NotApplied, ErrUnreachable},
		"any other":         {failing{err: errors.New("no: bearer " + canary)}, Stop, ErrSignIn},
		"an empty token":    {failing{}, Stop, ErrSignIn},
		"two lines":         {failing{token: "a\nb"}, Stop, ErrSignIn},
		"letters of others": {failing{token: "é"}, Stop, ErrSignIn},
	} {
		c.bearer.source = row.source
		_, err := c.Offboard(t.Context(), machine, "why")
		if e := problem(t, err); e.Meaning != row.want || !errors.Is(err, row.is) || !errors.Is(err, ErrUnsent) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, %v", name, e.Meaning, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.bearer.source = failing{err: ctx.Err()}
	_, err := c.Offboard(ctx, machine, "why")
	if e := problem(t, err); e.Meaning != NotApplied || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", e.Meaning, err)
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls without a token", calls.Load())
	}
}

func TestSecretsDoNotFormat(t *testing.T) {
	t.Parallel()
	token := AccessToken{Value: canary}
	config := AuthConfig{ClientSecret: canary, CertificatePassword: canary, Token: canary}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, secret := range []any{token, &token, []AccessToken{token}, config, &config} {
			text := fmt.Sprintf(verb, secret)
			if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
	config.Transport, config.DevicePrompt = nil, nil
	data, err := json.Marshal(struct {
		T AccessToken
		N string
	}{token, config.ClientID})
	if err != nil || strings.Contains(string(data), canary) {
		t.Errorf("%s, %v", data, err)
	}
}

// Whoever echoes a request, or breaks in the middle of it, must not get its
// secrets into our errors.
func TestSecretsStayOutOfErrors(t *testing.T) {
	t.Parallel()
	token := "opaque/" + canary + strings.Repeat("x", 900)
	for name, answer := range map[string]string{
		"in the envelope":  "HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" + `{"error":{"code":"%[2]s","message":"%[3]s %[2]s","target":"%[2]s"}}`,
		"in the status":    "%[2]s %[1]d\r\n\r\n",
		"in a header line": "HTTP/1.1 200 OK\r\n%[2]s %[1]d\r\n\r\n",
		"in the action":    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" + `{"id":"%[2]s","machineId":"%[2]s"}`,
	} {
		body := answer[strings.Index(answer, "\r\n\r\n")+4:]
		body = strings.ReplaceAll(strings.ReplaceAll(body, "%[2]s", token), "%[3]s", strings.Repeat("y", 300))
		head := answer[:strings.Index(answer, "\r\n\r\n")+4]
		head = strings.ReplaceAll(strings.ReplaceAll(head, "%[2]s", token), "%[1]d", "1")
		head = strings.ReplaceAll(head, "%d", fmt.Sprint(len(body)))
		w := rawServer(t, head+body)
		c := newClient(t, "http://"+w.address, nil)
		c.bearer.source = failing{token: token}
		_, err := c.Offboard(t.Context(), machine, "why")
		e := problem(t, err)
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), e.Code, e.Message, e.Target, e.Hint} {
			if strings.Contains(text, canary) {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
}
