package main

import (
	"context"
	"net/http"

	"offboard/defender"
	"offboard/journal"
)

// connection is a signed-in client, and what its token says of itself.
type connection struct {
	client *defender.Client
	claims defender.Claims
	method string // of sign-in, and why this one
}

// endpoint settles where the API and the sign-in are.
func (f *connectionFlags) endpoint() (defender.Cloud, error) {
	cloud, err := defender.ParseCloud(f.cloud)
	if err != nil {
		return cloud, usageError("--cloud: %w", err)
	}
	if cloud, err = cloud.Region(f.region); err != nil {
		return cloud, usageError("--region: %w", err)
	}
	for _, o := range []struct {
		field *string
		flag  string
	}{{&cloud.APIURL, f.apiURL}, {&cloud.AuthorityURL, f.authority}, {&cloud.Scope, f.scope}} {
		if o.flag != "" {
			*o.field = o.flag
		}
	}
	return cloud, nil
}

// transport is the network, or what a test has put in its place.
func (a *app) transport(f *connectionFlags) (http.RoundTripper, error) {
	if a.env.transport != nil {
		return a.env.transport, nil
	}
	t, err := defender.NewTransport(f.caFile, nil)
	if err != nil {
		return nil, usageError("--ca-file: %w", err)
	}
	return t, nil
}

func (a *app) authConfig(f *connectionFlags, cloud defender.Cloud, tenant journal.Tenant) defender.AuthConfig {
	c := defender.AuthFromEnv(a.env.getenv)
	c.Method, c.Scope, c.TenantID = f.auth, cloud.Scope, tenant.ID
	if f.clientID != "" {
		c.ClientID = f.clientID
	}
	if c.AuthorityURL == "" || f.authority != "" {
		c.AuthorityURL = cloud.AuthorityURL
	}
	c.DevicePrompt = func(message string) { a.log.Warn().Msg(message) }
	return c
}

// connect builds the client and looks at a token, so that a wrong tenant or a
// missing permission stops the command before its first call.
func (a *app) connect(ctx context.Context, f *connectionFlags, tenant journal.Tenant) (*connection, error) {
	cloud, err := f.endpoint()
	if err != nil {
		return nil, err
	}
	transport, err := a.transport(f)
	if err != nil {
		return nil, err
	}
	auth := a.authConfig(f, cloud, tenant)
	auth.Transport = transport
	method, why, err := auth.Choose()
	if err != nil {
		return nil, &commandError{code: exitSignIn, err: err, hint: hintOf(err)}
	}
	tokens, err := defender.NewTokens(auth)
	if err != nil {
		return nil, &commandError{code: exitSignIn, err: err, hint: hintOf(err)}
	}
	client, err := defender.New(defender.Config{
		APIURL: cloud.APIURL, Tokens: tokens, Transport: transport, Timeout: f.timeout,
		UserAgent: "offboard/" + versionString(),
	})
	if err != nil {
		return nil, usageError("%w", err)
	}
	claims, err := a.lookAtToken(ctx, tokens, tenant, cloud)
	if err != nil {
		return nil, err
	}
	a.log.Debug().Str("method", method).Str("why", why).Str("app_id", claims.AppID).Msg("signed in")
	return &connection{client: client, claims: claims, method: method + ": " + why}, nil
}

func (a *app) lookAtToken(ctx context.Context, tokens defender.TokenSource, tenant journal.Tenant, cloud defender.Cloud) (defender.Claims, error) {
	token, err := tokens.Token(ctx)
	if err != nil {
		return defender.Claims{}, err
	}
	claims := defender.ParseClaims(token.Value)
	warnings, err := claims.CheckOffboard(tenant.ID, cloud.Audiences()...)
	for _, w := range warnings {
		a.log.Warn().Msg(w)
	}
	return claims, err
}
