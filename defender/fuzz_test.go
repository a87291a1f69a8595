package defender

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
)

// Whatever an answer holds: no panic, applied only by an action of the machine
// that was asked for, and an error that is one line of clean text.
func FuzzAnswer(f *testing.F) {
	f.Add(201, string(sample(f, "action.json")), "")
	f.Add(200, string(sample(f, "machine.json")), "")
	for _, body := range []string{
		notFoundBody, activeBody, quotaBody, forbiddenBody, policyBody, odataBody, unpaidBody, actionBody(machine), actionBody(other),
		"", "null", "[]", `{"value":[{}]}`, `{"error":{"code":"\u001b[31m"}}`, `{"ID":1,"id":null}`, `{"error":{"code":"x","message":"per 99:99:99 again in 99999999999 second"}}`,
	} {
		for _, status := range []int{200, 400, 401, 404, 429, 500} {
			f.Add(status, body, "1")
		}
	}
	f.Fuzz(func(t *testing.T, status int, body, retryAfter string) {
		if status < 100 || status > 999 {
			return
		}
		a := answer{status: status, body: []byte(body), header: map[string][]string{"Retry-After": {retryAfter}}}
		var action MachineAction
		if a.unfit = json.Unmarshal(a.body, &action); a.unfit == nil && action.MachineID != machine {
			a.unfit = ErrUnfit
		}
		m := a.meaning()
		if m == Applied {
			if status/100 != 2 || action.MachineID != machine || !json.Valid(action.Raw) {
				t.Fatalf("applied by HTTP %d %q", status, body)
			}
			return
		}
		e := failure(t.Context(), opOffboard, a, m, canary)
		text := e.Error() + e.Hint
		if strings.ContainsFunc(text, unicode.IsControl) || strings.Contains(text, canary) || len(text) > 8*longestWords {
			t.Fatalf("%q", text)
		}
		if e.RetryAfter < 0 || e.RetryAfter > longestWait || e.Period < 0 || e.Period > 101*time.Hour {
			t.Fatalf("wait %v, period %v", e.RetryAfter, e.Period)
		}
	})
}

// Whatever a list holds: no panic, and no row that the filter does not mean.
func FuzzList(f *testing.F) {
	action, machineRow := string(sample(f, "action.json")), string(sample(f, "machine.json"))
	for _, body := range []string{
		`{"value":[` + action + `]}`, `{"value":[` + machineRow + `]}`, `{"value":[]}`, `{"value":[null]}`, `{"value":[{"id":[]}]}`, `{}`, ``,
		`{"value":[` + actionBody(other) + `,` + actionBody(machine) + `]}`, `{"Value":[{"ID":"` + machine + `"}]}`,
	} {
		f.Add(body)
	}
	actions := ActionFilter{MachineID: machine, Type: TypeOffboard, CreatedSince: time.Unix(0, 0)}
	machines := MachineFilter{OnboardingStatus: Onboarded}
	f.Fuzz(func(t *testing.T, body string) {
		all, err := rows([]byte(body))
		if err != nil {
			return
		}
		for _, row := range all {
			if a, meant, err := actions.decode(row); err == nil && meant && (a.MachineID != machine || a.ID == "" || !strings.EqualFold(a.Type, TypeOffboard)) {
				t.Fatalf("%s is meant", row)
			}
			if m, meant, err := machines.decode(row); err == nil && meant && (!machineID.MatchString(m.ID) || !strings.EqualFold(m.OnboardingStatus, Onboarded)) {
				t.Fatalf("%s is meant", row)
			}
		}
	})
}

// seen is a transport that takes note of where a request goes, and fails.
type seen struct{ url *url.URL }

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s.url = r.URL
	return nil, errors.New("seen")
}

// FuzzRequest: no id makes a request but one whose path is the template with the
// id in its place, and no name is anything but a string within the filter.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		machine, strings.ToUpper(machine), machine + "/../../x", "..", "%2e%2e", machine[:39] + "/", machine + "\n", "a?b=c", "a#b",
		"o'neill", "' or '1' eq '1", "x'&$top=1", "a+b c%20", "\x00\xff", "", "№ 5", "a;b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s seen
		c := newClient(t, "https://api.example.com", &s)
		for template, call := range map[string]func() error{
			"/api/machines/" + text + "/offboard":      func() error { _, err := c.Offboard(t.Context(), text, "why"); return err },
			"/api/machineactions/" + text:              func() error { _, err := c.Action(t.Context(), text); return err },
			"/api/machineactions/" + text + "/cancel/": func() error { _, err := c.Cancel(t.Context(), text, "why"); return err },
		} {
			s.url = nil
			err := call()
			sent := s.url != nil
			if sent == errors.Is(err, ErrInput) {
				t.Fatalf("%q: sent is %t, %v", text, sent, err)
			}
			if sent && (s.url.RequestURI() != strings.TrimSuffix(template, "/") || s.url.Host != "api.example.com" || strings.Trim(text, ids) != "") {
				t.Fatalf("%q went to %s", text, s.url)
			}
		}
		_, _ = c.Machines(t.Context(), MachineFilter{ComputerDNSName: text, OnboardingStatus: Onboarded}, Page{Top: 7})
		checkFilter(t, text, s.url)
	})
}

const ids = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"

// checkFilter reads the filter back as OData does: a quote within a string is two.
func checkFilter(t *testing.T, name string, u *url.URL) {
	t.Helper()
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.EscapedPath() != "/api/machines" || len(q) != 2 || q.Get("$top") != "7" || u.Fragment != "" {
		t.Fatalf("%q went to %s, %v", name, u, err)
	}
	const before, after = "computerDnsName eq '", "' and onboardingStatus eq 'Onboarded'"
	filter := q.Get("$filter")
	if name == "" {
		return
	}
	if !strings.HasPrefix(filter, before) || !strings.HasSuffix(filter, after) {
		t.Fatalf("%q is asked for by %q", name, filter)
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(filter, before), after)
	if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") || strings.ReplaceAll(inner, "''", "'") != name {
		t.Fatalf("%q is asked for by %q", name, filter)
	}
}
