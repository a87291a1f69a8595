package simulator

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// appName is the display name of every app: it shows as the requestor of an action.
const appName = "Fleet Retirement"

// audiences returns the audiences for which the API takes a token: the documented one, which is still
// that of the older host, the newer host, and the older names of the API.
func audiences() []string {
	return []string{
		"https://api.securitycenter.microsoft.com",
		"https://api.security.microsoft.com",
		"https://securitycenter.onmicrosoft.com/windowsatpservice",
		"https://api-gcc.securitycenter.microsoft.us",
		"https://api-gov.securitycenter.microsoft.us",
		"https://securitycenter.onmicrosoft.us/windowsatpservice",
		"fc780465-2017-40d4-a0c5-307022471b92",
	}
}

// TokenOptions describes a token for [Simulator.IssueToken]. A field that is zero is as the token
// endpoint would have it.
type TokenOptions struct {
	AppID    string
	TenantID string
	Audience string        // default https://api.securitycenter.microsoft.com
	Roles    []string      // application permissions; nil means those of [Config], unless Scopes are given
	Scopes   []string      // delegated permissions: they make it a user's token
	Life     time.Duration // default [Config].TokenLife; negative makes a token that has expired
}

// identity is who a token says its bearer is.
type identity struct {
	Audience string   `json:"aud"`
	Issuer   string   `json:"iss"`
	IssuedAt int64    `json:"iat"`
	NotYet   int64    `json:"nbf"`
	Expires  int64    `json:"exp"`
	AppName  string   `json:"app_displayname"`
	AppID    string   `json:"appid"`
	Method   string   `json:"appidacr"`
	Object   string   `json:"oid"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   string   `json:"scp,omitempty"`
	Subject  string   `json:"sub"`
	Region   string   `json:"tenant_region_scope"`
	TenantID string   `json:"tid"`
	Unique   string   `json:"uti"`
	Version  string   `json:"ver"`
	Serial   int      `json:"xms_serial"` // ours: which tokens were issued before [Simulator.RevokeTokens]
}

// hasAny tells whether the bearer has one of some permissions, as an app or for a user.
func (who identity) hasAny(permissions []string) bool {
	scopes := strings.Fields(who.Scopes)
	return slices.ContainsFunc(permissions, func(p string) bool {
		return slices.Contains(who.Roles, p) || slices.Contains(scopes, p) ||
			slices.Contains(scopes, strings.TrimSuffix(p, ".All"))
	})
}

// IssueToken makes an access token, good for tests of what a client does with a token that it was
// handed. It is signed with a key of this tenant, so only a tenant of the same Config takes it.
func (s *Simulator) IssueToken(o TokenOptions) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(o, s.advance())
}

// RevokeTokens makes every token that was issued so far be answered 401.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = s.issued
}

func (s *Simulator) issue(o TokenOptions, now time.Time) string {
	if o.Roles == nil && o.Scopes == nil {
		o.Roles = s.cfg.Roles
	}
	s.issued++
	tenant, app := cmp.Or(o.TenantID, s.cfg.TenantID), cmp.Or(o.AppID, s.cfg.ClientID)
	d := sha256.Sum256([]byte("principal|" + app))
	object := formatGUID(d[:16])
	claims, err := json.Marshal(identity{
		Audience: cmp.Or(o.Audience, audiences()[0]), Issuer: "https://sts.windows.net/" + tenant + "/",
		IssuedAt: now.Unix(), NotYet: now.Unix(), Expires: now.Add(cmp.Or(o.Life, s.cfg.TokenLife)).Unix(),
		AppName: appName, AppID: app, Method: "1", Object: object, Subject: object,
		Roles: o.Roles, Scopes: strings.Join(o.Scopes, " "),
		Region: "EU", TenantID: tenant, Unique: s.guid("token", s.issued), Version: "1.0", Serial: s.issued,
	})
	if err != nil {
		panic(fmt.Sprintf("simulator: claims do not marshal: %v", err))
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(claims)
	return signed + "." + base64.RawURLEncoding.EncodeToString(s.sign(signed))
}

// sign makes a signature with a key that follows from the tenant, so that a token outlives a restart.
func (s *Simulator) sign(signed string) []byte {
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%d|%s|%s", s.cfg.Seed, s.cfg.TenantID, s.cfg.ClientSecret))
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// authenticate tells who sends a request; ok is false when the reply says why nobody is believed.
func (s *Simulator) authenticate(token string, now time.Time) (who identity, rep reply, ok bool) {
	signed, signature, err := split(token)
	switch {
	case err != nil || !hmac.Equal(signature, s.sign(signed)):
		return who, s.unauthorized("the token is missing or was not issued for this service"), false
	case json.Unmarshal(payload(signed), &who) != nil:
		return who, s.unauthorized("the token cannot be read"), false
	case s.expired[token] || who.Serial <= s.revoked || !now.Before(time.Unix(who.Expires, 0)):
		return who, s.unauthorized("the token has expired"), false
	case who.TenantID != s.cfg.TenantID:
		return who, s.unauthorized("the token is for another tenant"), false
	case !slices.Contains(audiences(), strings.TrimSuffix(who.Audience, "/")):
		return who, fail(http.StatusForbidden, "Forbidden", "The audience '"+who.Audience+"' is not valid", s.target()), false
	}
	return who, reply{}, true
}

func split(token string) (signed string, signature []byte, err error) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return "", nil, fmt.Errorf("no dot in the token")
	}
	signature, err = base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		return "", nil, fmt.Errorf("read signature: %w", err)
	}
	return token[:i], signature, nil
}

// payload returns the claims of a token whose signature holds.
func payload(signed string) []byte {
	_, claims, _ := strings.Cut(signed, ".")
	b, err := base64.RawURLEncoding.DecodeString(claims)
	if err != nil {
		return nil
	}
	return b
}

// forbidden is the answer to a token without the permission, in the words of 2026.
func (s *Simulator) forbidden(required []string, who identity) reply {
	return fail(http.StatusForbidden, "Forbidden", fmt.Sprintf(
		"Missing application roles. API required roles: %s, application roles: %s.",
		strings.Join(required, ","), strings.Join(who.Roles, ",")), s.target())
}
