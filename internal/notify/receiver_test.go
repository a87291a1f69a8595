package notify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	testSecret = "whsec_Y2FuYXJ5LW9mLWEtc2lnbmluZy1rZXktMDE="
	testLink   = "https://receiver.example/canary-path?sig=canary-query"
)

// TestSettings: what cannot be used is refused before anything is sent, by a text
// that holds nothing of it.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		link, secret string
		form, want   Form // want "": refused
	}{
		{testLink, "", "", Generic},
		{testLink, testSecret, Auto, Generic},
		{testLink, "", Teams, Teams},
		{"http://127.0.0.1:1/canary", "", "", Generic},
		{"http://[::1]:1/canary", "", "", Generic},
		{"http://localhost/canary", "", "", Generic},
		{"https://prod-7.westeurope.LOGIC.azure.com:443/workflows/canary?sig=x", "", "", Teams},
		{"https://default0.1.environment.api.powerplatform.com/powerautomate/canary", "", "", Teams},
		{"https://contoso.webhook.office.com/webhookb2/canary", "", "", Teams},
		{"https://contoso.webhook.office.com/webhookb2/canary", "", Generic, Generic},
		{"https://evil-logic.azure.com.example/canary", "", "", Generic},
		{"https://logic.azure.com/canary", "", "", Generic}, // no link of theirs
		{"http://receiver.example/canary", "", "", ""},
		{"http://127.0.0.1.example/canary", "", "", ""},
		{"ftp://receiver.example/canary", "", "", ""},
		{"receiver.example/canary", "", "", ""},
		{"https:receiver.example/canary", "", "", ""},
		{"https://:443/canary", "", "", ""},
		{"https://user:canary@receiver.example/", "", "", ""},
		{"https://receiver.example/#canary", "", "", ""},
		{"https://receiver.example/%zzcanary", "", "", ""},
		{testLink, "canary", "", ""},
		{testLink, "whsec_canary!", "", ""},
		{testLink, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)), "", ""},
		{testLink, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), "", ""},
		{testLink, strings.TrimPrefix(testSecret, "whsec_"), "", ""},
		{testLink, "", "slack", ""},
	} {
		r, err := New(Config{URL: c.link, Secret: c.secret, Form: c.form})
		switch {
		case c.want == "":
			if !errors.Is(err, ErrSetting) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q %q %q: %v", c.link, c.secret, c.form, err)
			}
		case err != nil || r.Form() != c.want || r.Signed() != (c.secret != ""):
			t.Errorf("%q %q %q: %v %v", c.link, c.secret, c.form, r, err)
		}
	}
}

// TestReceiverHidesItsSecrets: whoever prints one sees where it is and no more.
func TestReceiverHidesItsSecrets(t *testing.T) {
	t.Parallel()
	r, err := New(Config{URL: testLink, Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, r); got != "{generic at receiver.example}" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
