package defender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// readyToken is a [TokenSource] for a token that somebody else obtained.
type readyToken struct {
	given, path string

	mu      sync.Mutex
	token   AccessToken
	refused string
}

var _ TokenSource = (*readyToken)(nil)

// Token returns the token. One from a file is kept until it has expired or was
// refused; then the file has to hold another.
func (r *readyToken) Token(context.Context) (AccessToken, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	expired := !r.token.Expires.IsZero() && !time.Now().Before(r.token.Expires)
	if r.token.Value != "" && !expired {
		return r.token, nil
	}
	value, err := r.read()
	if err != nil {
		hint := "put a token into the file that OFFBOARD_TOKEN_FILE names"
		var file *exposed
		if errors.As(err, &file) {
			hint = file.hint()
		}
		return AccessToken{}, &Error{Op: opSignIn, Meaning: Stop, Err: fmt.Errorf("%w: %w", ErrSignIn, safely(err)), Hint: hint}
	}
	if value == r.refused {
		return AccessToken{}, &Error{
			Op: opSignIn, Meaning: Stop, Err: ErrSignIn, Message: "the service refused the given token and there is no other",
			Hint: "obtain a new token for the Defender API and put it where the old one is",
		}
	}
	r.token = AccessToken{Value: value, Expires: ParseClaims(value).Expires}
	return r.token, nil
}

func (r *readyToken) read() (string, error) {
	if r.path == "" {
		return r.given, nil
	}
	return ReadSecretFile(r.path)
}

// Refuse makes the next call look for another token.
func (r *readyToken) Refuse(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = token
	if r.token.Value == token {
		r.token = AccessToken{}
	}
}

// GivenToken is the ready token of Token or TokenFile, "" if there is none or it
// cannot be read, of which the sign-in tells.
func (c AuthConfig) GivenToken() string {
	if c.Token != "" || c.TokenFile == "" {
		return strings.TrimSpace(c.Token)
	}
	secret, _ := ReadSecretFile(c.TokenFile)
	return secret
}
