package defender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"golang.org/x/sync/singleflight"
)

// A token is renewed this long before it expires, or after three quarters of its
// life if that is short.
const renewBefore = 5 * time.Minute

// Longest sign-in, all of azidentity's requests together. A device code is valid
// for a quarter of an hour.
const (
	signInTimeout     = 2 * time.Minute
	deviceCodeTimeout = 16 * time.Minute
)

// anew makes the managed identity credential ask again. Its cache belongs to the
// process, not to the credential; claims, whatever they are, go past it.
const anew = `{"access_token":{"nbf":{"essential":true}}}`

// signIn is a [TokenSource] on top of azidentity. However many callers wait,
// there is one sign-in at a time.
type signIn struct {
	config AuthConfig
	flight singleflight.Group

	mu         sync.Mutex
	credential azcore.TokenCredential // nil: to be made
	token      AccessToken
	renew      time.Time
	refused    bool // a token was, so that caches are to be passed by
}

var _ TokenSource = (*signIn)(nil)

// Token returns the token at hand, or signs in. A sign-in goes on when the caller
// that began it gives up, since others may wait for it.
func (s *signIn) Token(ctx context.Context) (AccessToken, error) {
	if t, _, ok := s.current(); ok {
		return t, nil
	}
	if ctx.Err() != nil {
		return AccessToken{}, gaveUp(ctx)
	}
	result := s.flight.DoChan("", func() (any, error) { return s.obtain(context.WithoutCancel(ctx)) })
	select {
	case r := <-result:
		token, _ := r.Val.(AccessToken)
		return token, r.Err
	case <-ctx.Done():
		return AccessToken{}, gaveUp(ctx)
	}
}

func gaveUp(ctx context.Context) error {
	return &Error{Op: opSignIn, Meaning: NotApplied, Err: safely(context.Cause(ctx))}
}

// Refuse forgets the token, and the credential with all that it remembers.
func (s *signIn) Refuse(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == s.token.Value {
		s.token, s.credential, s.refused = AccessToken{}, nil, true
	}
}

// current returns the token, whether it is valid and whether it is fresh: in no
// need to be renewed.
func (s *signIn) current() (token AccessToken, valid, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	valid = s.token.Value != "" && now.Before(s.token.Expires)
	return s.token, valid, valid && now.Before(s.renew)
}

// obtain signs in and keeps the token. When the sign-in service is away it falls
// back on a token that is merely due for renewal.
func (s *signIn) obtain(ctx context.Context) (AccessToken, error) {
	if t, _, fresh := s.current(); fresh {
		return t, nil // somebody obtained it while we were on our way here
	}
	timeout := signInTimeout
	if s.config.Method == AuthDeviceCode {
		timeout = deviceCodeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	var seen sighting
	got, err := s.ask(seen.within(ctx))
	if err != nil {
		if t, valid, _ := s.current(); valid {
			return t, nil
		}
		return AccessToken{}, s.config.failure(err, &seen)
	}
	return s.keep(got), nil
}

func (s *signIn) ask(ctx context.Context) (azcore.AccessToken, error) {
	s.mu.Lock()
	credential, refused := s.credential, s.refused
	s.mu.Unlock()
	if credential == nil {
		var err error
		if credential, err = s.config.credential(); err != nil {
			return azcore.AccessToken{}, err
		}
	}
	options := policy.TokenRequestOptions{Scopes: []string{s.config.Scope}}
	if refused && s.config.Method == AuthManagedIdentity {
		options.Claims = anew
	}
	got, err := credential.GetToken(ctx, options)
	if err != nil {
		return got, err
	}
	if got.Token == "" {
		return got, fmt.Errorf("the sign-in gave an empty token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credential = credential
	return got, nil
}

func (s *signIn) keep(got azcore.AccessToken) AccessToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	life := time.Until(got.ExpiresOn)
	s.token = AccessToken{Value: got.Token, Expires: got.ExpiresOn}
	s.renew = got.ExpiresOn.Add(-min(renewBefore, life/4))
	if !got.RefreshOn.IsZero() && got.RefreshOn.Before(s.renew) {
		s.renew = got.RefreshOn
	}
	s.refused = false
	return s.token
}
