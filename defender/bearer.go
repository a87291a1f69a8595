package defender

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// AccessToken is a bearer token. It formats as "[redacted]" whatever the verb;
// only the field has the secret.
type AccessToken struct {
	Value   string    `json:"-"`
	Expires time.Time // zero if unknown
}

// Format hides the token from every verb of package fmt.
func (AccessToken) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redaction)) }

// TokenSource signs in. A [Client] asks it for a token before each request; it is
// for the source to keep one as long as it is good. Both methods may be called
// by many goroutines at once.
//
// An error that is an [*Error] is passed on as it is; any other means [Stop].
type TokenSource interface {
	Token(ctx context.Context) (AccessToken, error)
	// Refuse says that the service did not accept a token. The source must
	// not hand that token out again if it can get another.
	Refuse(token string)
}

// bearer counts the tokens that were refused, so that one refusal leads to one
// new token whatever the number of requests in flight, and a refused new token
// to a stop.
type bearer struct {
	source TokenSource

	mu       sync.Mutex
	refusals int
	// proven says that a token taken after the last refusal was accepted.
	// The first token of all is given the same credit.
	proven bool
}

// pass is a token and the number of refusals that preceded it.
type pass struct {
	token    AccessToken
	refusals int
}

func (b *bearer) pass(ctx context.Context) (pass, error) {
	// Counted before the token is taken: a token that is refused meanwhile
	// must pass for an old one.
	b.mu.Lock()
	refusals := b.refusals
	b.mu.Unlock()

	token, err := b.source.Token(ctx)
	if err != nil {
		return pass{}, signInFailure(ctx, err)
	}
	if token.Value == "" || !isVisible(token.Value) {
		return pass{}, &Error{
			Op: opSignIn, Meaning: Stop, Err: ErrSignIn, Message: "the token is empty or has characters that no token has",
			Hint: "check what was given as a token: it has to be the bare token, on one line",
		}
	}
	return pass{token, refusals}, nil
}

// isVisible says that s may be part of a header, without which no request can be
// made at all.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// answered takes note of how the service liked the token of p and says whether a
// refusal is to be met with a new token.
func (b *bearer) answered(p pass, status int) (stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := p.refusals == b.refusals
	switch {
	case status == http.StatusUnauthorized && !current:
		return true // an older token, refused and replaced already
	case status == http.StatusUnauthorized && b.proven:
		b.refusals++
		b.proven = false
		b.source.Refuse(p.token.Value)
		return true
	case accepted(status) && current:
		b.proven = true
	}
	return false
}

// accepted says that an answer came from behind the check of the token. A 429 or
// a 5xx may come from before it.
func accepted(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return status/100 == 2
}

func signInFailure(ctx context.Context, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	m := Stop
	if ctx.Err() != nil {
		m = NotApplied
	}
	return &Error{Op: opSignIn, Meaning: m, Err: fmt.Errorf("%w: %w", ErrSignIn, safely(err))}
}
