package defender

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Codes of the service that decide something.
const (
	// CodeActiveRequestAlreadyExists says that an action of the same type is
	// under way. It is missing from the documented table of codes, yet sent.
	CodeActiveRequestAlreadyExists = "ActiveRequestAlreadyExists"

	codeDisallowedOperation = "DisallowedOperation"
)

// What errors.Is finds in an [*Error].
var (
	// ErrThrottled: a quota of the service is used up (429).
	ErrThrottled = errors.New("too many requests")
	// ErrUnreachable: no connection came about with the API or with the
	// sign-in service, or the latter is out of order.
	ErrUnreachable = errors.New("the service cannot be reached")
	// ErrUnsent: nothing of the request was written, whatever the reason.
	ErrUnsent = errors.New("nothing was sent")
	// ErrTokenRefused: the service does not accept the bearer token (401).
	ErrTokenRefused = errors.New("the token was refused")
	// ErrForbidden: the token is valid and lacks a permission (403).
	ErrForbidden = errors.New("the permission is missing")
	// ErrUntrusted: the certificate of the other end does not verify.
	ErrUntrusted = errors.New("the certificate cannot be trusted")
	// ErrNotFound: the service says that there is no such machine or action.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyActive: an action of the same type is under way.
	ErrAlreadyActive = errors.New("an action is already under way")
	// ErrSignIn: there is no token to be had.
	ErrSignIn = errors.New("sign-in failed")
	// ErrUnfit: a 2xx answer does not hold what was asked for.
	ErrUnfit = errors.New("the answer is not what was asked for")
	// ErrTooLarge: an answer exceeds the bound of its kind.
	ErrTooLarge = errors.New("the answer is too large")
	// ErrInput: an argument was refused before anything was sent.
	ErrInput = errors.New("unusable argument")
	// ErrConfig: a Config, AuthConfig or a name in one is unusable.
	ErrConfig = errors.New("unusable configuration")
)

// Error is what every method of [Client] and every [TokenSource] of this package
// fails with.
type Error struct {
	// Op is what was tried, such as "offboard" or "sign in".
	Op string
	// Meaning says what became of the request.
	Meaning Meaning
	// Status is the HTTP status of the API's answer; 0 if it did not answer.
	Status int
	// Code, Message and Target are the service's own words. Target is the
	// correlation id that Microsoft's support asks for. A failed sign-in has
	// Entra's error code in Code.
	Code, Message, Target string
	// RetryAfter is how long the service asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Period is the window of the quota that the service named, a minute or an
	// hour; 0 if it named none.
	Period time.Duration
	// Hint is what a person can do about it; often empty.
	Hint string
	// Err is the cause, without secrets; nil if the service's answer is all
	// there is.
	Err error
}

// Error describes the failure in one line, without the hint.
func (e *Error) Error() string {
	var parts []string
	if e.Status != 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.Status, e.Code)))
	} else if e.Code != "" && !strings.HasPrefix(e.Message, e.Code) {
		parts = append(parts, e.Code)
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		parts = append(parts, e.Meaning.String())
	}
	text := e.Op + ": " + strings.Join(parts, ": ")
	if e.Target != "" {
		text += " (correlation id " + e.Target + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the sentinels that follow from the status and the meaning; the
// others are found in the cause.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrThrottled:
		return e.Status == http.StatusTooManyRequests
	case ErrTokenRefused:
		return e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Status == http.StatusForbidden && e.Meaning == Stop
	case ErrNotFound:
		return e.Status == http.StatusNotFound && e.Meaning == Refused
	case ErrAlreadyActive:
		return e.Meaning == AlreadyActive
	case ErrUnsent:
		return e.Status == 0 && e.Meaning != Unknown && e.Meaning != Applied
	}
	return false
}
