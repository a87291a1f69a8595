package defender

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

const tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"

// jwt returns a token with these claims and no valid signature.
func jwt(claims string) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + e.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestParseClaims(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]Claims{
		jwt(`{"aud":"https://api.securitycenter.microsoft.com","tid":"` + tenant + `","appid":"a1","roles":["Machine.Offboard","Machine.Read.All"],"exp":1767225600,"ver":"1.0"}`): {
			TenantID: tenant, AppID: "a1", Audience: "https://api.securitycenter.microsoft.com",
			Roles: []string{PermissionOffboard, PermissionRead}, Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		},
		jwt(`{"aud":["one","two"],"azp":"a2","scp":"Machine.Offboard  Machine.Read","exp":1767225600.5}`): {
			AppID: "a2", Audience: "one", Scopes: []string{"Machine.Offboard", "Machine.Read"}, Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		},
		jwt(`{"roles":"Machine.Offboard","exp":"never","tid":null}`): {Roles: []string{PermissionOffboard}},
		jwt(`{"exp":1e300}`): {},
		jwt(`[]`):            {Opaque: true},
		jwt(`{`):             {Opaque: true},
		"":                   {Opaque: true},
		"a.!.c":              {Opaque: true},
		"EwB4A8l6BAAU":       {Opaque: true},
		"a.b.c.d.e":          {Opaque: true},
	} {
		got := ParseClaims(token)
		if len(got.Roles)+len(want.Roles) == 0 {
			got.Roles, want.Roles = nil, nil
		}
		if len(got.Scopes)+len(want.Scopes) == 0 {
			got.Scopes, want.Scopes = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", token, got, want)
		}
	}
}

func TestCheckOffboard(t *testing.T) {
	t.Parallel()
	good := Claims{TenantID: tenant, AppID: "a1", Audience: "https://api.securitycenter.microsoft.com/", Roles: []string{PermissionOffboard}, Expires: time.Now().Add(time.Hour)}
	with := func(change func(*Claims)) Claims {
		c := good
		change(&c)
		return c
	}
	public, _ := ParseCloud("public")
	for name, row := range map[string]struct {
		claims   Claims
		tenant   string
		warnings int
		stops    string // what the error or its hint has to speak of
	}{
		"good":                  {good, tenant, 0, ""},
		"upper case":            {good, strings.ToUpper(tenant), 0, ""},
		"delegated":             {with(func(c *Claims) { c.Roles, c.Scopes = nil, []string{PermissionOffboard} }), tenant, 0, ""},
		"a domain name":         {good, "contoso.onmicrosoft.com", 0, ""},
		"no tenant asked for":   {good, "", 0, ""},
		"no tenant in it":       {with(func(c *Claims) { c.TenantID = "" }), tenant, 0, ""},
		"opaque":                {Claims{Opaque: true}, tenant, 1, ""},
		"another audience":      {with(func(c *Claims) { c.Audience = "https://graph.microsoft.com" }), tenant, 1, ""},
		"expired, and audience": {with(func(c *Claims) { c.Audience, c.Expires = "", time.Unix(1, 0) }), tenant, 2, ""},
		"another tenant":        {with(func(c *Claims) { c.TenantID = "0" + tenant[1:] }), tenant, 0, tenant},
		"no permission":         {with(func(c *Claims) { c.Roles = []string{PermissionRead} }), tenant, 0, PermissionOffboard},
	} {
		warnings, err := row.claims.CheckOffboard(row.tenant, public.Audiences()...)
		if row.stops == "" {
			if err != nil || len(warnings) != row.warnings {
				t.Errorf("%s: %q, %v", name, warnings, err)
			}
			continue
		}
		if e := problem(t, err); e.Meaning != Stop || !errors.Is(err, ErrUnsent) || e.Hint == "" || !strings.Contains(e.Error(), row.stops) {
			t.Errorf("%s: %v, %v (%s)", name, e.Meaning, err, e.Hint)
		}
	}
}

func TestCanRead(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		claims Claims
		want   bool
	}{
		{Claims{Roles: []string{PermissionRead}}, true},
		{Claims{Roles: []string{PermissionReadWrite}}, true},
		{Claims{Scopes: []string{"Machine.Read"}}, true},
		{Claims{Scopes: []string{"Machine.ReadWrite"}}, true},
		{Claims{Roles: []string{PermissionOffboard}}, false},
		{Claims{Roles: []string{"Machine.Read"}}, false},
		{Claims{Opaque: true}, false},
	} {
		if got := row.claims.CanRead(); got != row.want {
			t.Errorf("%+v: %v", row.claims, got)
		}
	}
}
