package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// connection is a client, and what its token says of itself.
type connection struct {
	client *defender.Client
	tokens defender.TokenSource
	cloud  defender.Cloud
	method string // of sign-in, and why this one
	claims defender.Claims
	appID  string // by the token, else as configured; the service counts by it
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

func (a *app) authConfig(f *connectionFlags, cloud defender.Cloud, tenant journal.Tenant) (defender.AuthConfig, error) {
	c, err := a.auth()
	c.Method, c.Scope, c.TenantID = f.auth, cloud.Scope, tenant.ID
	if f.clientID != "" {
		c.ClientID = f.clientID
	}
	if c.AuthorityURL == "" || f.authority != "" {
		c.AuthorityURL = cloud.AuthorityURL
	}
	c.DevicePrompt = func(message string) { a.log.Warn().Msg(message) }
	return c, err
}

// connect builds the client and looks at a token, so that a wrong tenant or a
// missing permission stops the command before its first call.
func (a *app) connect(ctx context.Context, f *campaignFlags, tenant journal.Tenant) (*connection, error) {
	c, err := a.dial(&f.connectionFlags, tenant)
	if err != nil {
		return nil, err
	}
	if err := a.signIn(ctx, c, f.retryFor); err != nil {
		return nil, err
	}
	a.log.Debug().Str("method", c.method).Str("app_id", c.appID).Msg("signed in")
	warnings, err := c.claims.CheckOffboard(tenant.ID, c.cloud.Audiences()...)
	for _, w := range warnings {
		a.log.Warn().Msg(w)
	}
	return c, err
}

// dial prepares the sign-in and the client; nothing is sent yet.
func (a *app) dial(f *connectionFlags, tenant journal.Tenant) (*connection, error) {
	cloud, err := f.endpoint()
	if err != nil {
		return nil, err
	}
	transport, err := a.transport(f)
	if err != nil {
		return nil, err
	}
	auth, err := a.authConfig(f, cloud, tenant)
	if err != nil {
		return nil, err
	}
	if auth.Method == defender.AuthDeviceCode && !a.env.terminal {
		return nil, usageError("no terminal to show a device code on; choose another way with --auth")
	}
	auth.Transport = transport
	method, why, err := auth.Choose()
	if err != nil {
		return nil, usageError("--auth: %w", err)
	}
	c := &connection{cloud: cloud, method: method + ": " + why, appID: auth.ClientID}
	if c.tokens, err = defender.NewTokens(auth); err != nil {
		return nil, &commandError{code: exitSignIn, err: err}
	}
	c.client, err = defender.New(defender.Config{
		APIURL: cloud.APIURL, Tokens: c.tokens, Transport: transport, Timeout: f.timeout,
		UserAgent: "offboard/" + versionString(),
	})
	if err != nil {
		return nil, usageError("%w", err)
	}
	return c, nil
}

// signIn waits for a sign-in service that cannot be reached as a run waits for
// the API: a scheduled run often begins before the network is there.
func (a *app) signIn(ctx context.Context, c *connection, retryFor time.Duration) error {
	const longest = time.Minute
	began := time.Now()
	for pause := time.Second; ; pause = min(2*pause, longest) {
		err := c.signIn(ctx)
		if !errors.Is(err, defender.ErrUnreachable) || time.Since(began)+pause > retryFor {
			return err
		}
		a.log.Warn().Err(err).Str("wait", pause.String()).Msg("paused")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// signIn takes a token and reads what it says of itself.
func (c *connection) signIn(ctx context.Context) error {
	token, err := c.tokens.Token(ctx)
	if err != nil {
		return err
	}
	c.claims = defender.ParseClaims(token.Value)
	if c.claims.AppID != "" {
		c.appID = c.claims.AppID
	}
	return nil
}
