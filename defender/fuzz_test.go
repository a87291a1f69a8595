package defender

import (
	"encoding/json"
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
