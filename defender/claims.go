package defender

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Permissions of the app registration, of the API WindowsDefenderATP. A signed-in
// user's token has the same names among its scopes.
const (
	PermissionOffboard  = "Machine.Offboard"
	PermissionRead      = "Machine.Read.All"
	PermissionReadWrite = "Machine.ReadWrite.All"
)

// Claims is what a token says about itself. Its signature is not verified: this
// serves to say early what the service is going to say later.
type Claims struct {
	TenantID string
	AppID    string
	Audience string
	Roles    []string  // application permissions
	Scopes   []string  // delegated permissions
	Expires  time.Time // zero if the token does not say
	Opaque   bool      // the token is not a JSON web token; all else is empty
}

// ParseClaims reads the claims of a token. One that it cannot read is opaque,
// which is no error: only the service has to understand it.
func ParseClaims(token string) Claims {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{Opaque: true}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return Claims{Opaque: true}
	}
	o, err := parseObject(payload)
	if err != nil {
		return Claims{Opaque: true}
	}
	c := Claims{
		TenantID: o.text("tid"),
		AppID:    orDefault(o.text("appid"), o.text("azp")),
		Roles:    o.texts("roles"),
		Scopes:   strings.Fields(o.text("scp")),
	}
	if audiences := o.texts("aud"); len(audiences) > 0 {
		c.Audience = audiences[0]
	}
	var expires float64 // a NumericDate may have a fraction
	if json.Unmarshal(o["exp"], &expires) == nil && expires > 0 && expires < 1<<40 {
		c.Expires = time.Unix(int64(expires), 0).UTC()
	}
	return c
}

// CheckOffboard says what will fail with a token before anything is sent. A token
// of another tenant or without the permission to offboard is an [*Error] that
// means [Stop] and says in its hint what to grant. What may be right after all,
// such as an audience that is not among the given ones, is a warning.
//
// tenantID may be empty or a domain name, which cannot be compared.
func (c Claims) CheckOffboard(tenantID string, audiences ...string) (warnings []string, err error) {
	if c.Opaque {
		return []string{"the token cannot be read, so its tenant and permissions are not known"}, nil
	}
	if isGUID(tenantID) && c.TenantID != "" && !strings.EqualFold(tenantID, c.TenantID) {
		return nil, &Error{
			Op: opCheck, Meaning: Stop,
			Message: fmt.Sprintf("the token belongs to the tenant %s, not to %s", words(c.TenantID), tenantID),
			Hint:    "sign in to the tenant whose machines are to be offboarded",
		}
	}
	if !c.has(PermissionOffboard) {
		return nil, &Error{
			Op: opCheck, Meaning: Stop,
			Message: "the token lacks the permission " + PermissionOffboard,
			Hint: "grant " + c.app() + " the application permission " + PermissionOffboard +
				" of WindowsDefenderATP, give admin consent and sign in again",
		}
	}
	return c.doubts(audiences), nil
}

// app names the app registration as well as the token can.
func (c Claims) app() string {
	if c.AppID == "" {
		return "the app"
	}
	return "the app " + words(c.AppID)
}

// opCheck is the name of looking at a token, as errors show it.
const opCheck = "check the token"

func (c Claims) doubts(audiences []string) (warnings []string) {
	known := func(a string) bool {
		return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(c.Audience, "/"))
	}
	if len(audiences) > 0 && !slices.ContainsFunc(audiences, known) {
		warnings = append(warnings, fmt.Sprintf("the token is meant for %q, which is not known to be this API; the service may answer 403", words(c.Audience)))
	}
	if !c.Expires.IsZero() && !time.Now().Before(c.Expires) {
		warnings = append(warnings, "by this computer's clock the token expired at "+c.Expires.Format(time.RFC3339))
	}
	return warnings
}

// CanRead says whether the token allows to list machines and actions.
func (c Claims) CanRead() bool { return c.has(PermissionRead) || c.has(PermissionReadWrite) }

// has looks for an application permission, or the same as a delegated one, which
// is spelled without ".All" in some cases.
func (c Claims) has(permission string) bool {
	return slices.Contains(c.Roles, permission) || slices.Contains(c.Scopes, permission) ||
		slices.Contains(c.Scopes, strings.TrimSuffix(permission, ".All"))
}

func isGUID(s string) bool {
	return len(s) == 36 && strings.Count(s, "-") == 4 && strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}
