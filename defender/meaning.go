package defender

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Meaning is what an answer, or its absence, says about the request.
type Meaning int

const (
	// Unknown is the careful meaning and the zero value: the request may have
	// been applied, may still be, or may never be. Never send it again without
	// having looked.
	Unknown Meaning = iota
	// Applied says that the service took the request and answered it with what
	// was asked for: an order with its action, a question with its answer.
	Applied
	// NotApplied says that the request was certainly not taken. It may be sent
	// again: later, or at once with a new token if the error is
	// [ErrTokenRefused].
	NotApplied
	// Refused says that the service said no to this machine or these
	// parameters. Sending the same again is pointless; [ErrNotFound] alone was
	// seen to be wrong under load and deserves a second try.
	Refused
	// AlreadyActive says that the request was not taken, since an action of
	// the same type is under way on the machine. It may be an earlier
	// attempt's.
	AlreadyActive
	// Stop says that it was not taken, and that no other will be until
	// a person has mended the sign-in, the permissions or the trust in the
	// certificate.
	Stop
)

// String returns the meaning in words.
func (m Meaning) String() string {
	switch m {
	case Unknown:
		return "unknown"
	case Applied:
		return "applied"
	case NotApplied:
		return "not applied"
	case Refused:
		return "refused"
	case AlreadyActive:
		return "already active"
	case Stop:
		return "stop"
	}
	return fmt.Sprintf("Meaning(%d)", int(m))
}

// answer is all that is known of one exchange.
type answer struct {
	// status, header and body of the answer; status 0 if none came.
	status int
	header http.Header
	body   []byte
	// err is what went wrong between us and the last byte of the body.
	err error
	// unwritten says that certainly not one byte of the request left.
	unwritten bool
	// stale says that a 401 concerns a token that has not yet been replaced
	// once, so that a fresh one may help.
	stale bool
	// unfit says what is wrong with a 2xx answer that was read to its end; nil
	// if it holds what was asked for.
	unfit error
}

// meaning decides what an answer means. It is the only place that does.
func (a answer) meaning() Meaning {
	var e envelope
	if a.status/100 == 4 {
		e = parseEnvelope(a.body) // no other answer is decided by its words
	}
	switch {
	case a.status == 0 && untrusted(a.err):
		return Stop
	case a.status == 0 && a.unwritten:
		return NotApplied
	case a.status == 0:
		return Unknown
	// From here on there is a status. A body that broke off matters only where
	// the body decides.
	case a.status == http.StatusTooManyRequests:
		return NotApplied
	case a.status == http.StatusUnauthorized && a.stale:
		return NotApplied
	case a.status == http.StatusUnauthorized:
		return Stop
	case a.status == http.StatusForbidden && strings.EqualFold(e.code, codeDisallowedOperation):
		return Refused
	case a.status == http.StatusForbidden:
		return Stop
	case a.status == http.StatusMethodNotAllowed:
		return Refused
	case a.status/100 == 2 && a.err == nil && a.unfit == nil:
		return Applied
	case a.status/100 == 4:
		return e.meaning(a.status)
	}
	return Unknown
}

// meaning is that of a 4xx answer with this body. One without the service's
// envelope comes from something in between, which may have passed the request
// on. So may have whatever says 408, envelope or not.
func (e envelope) meaning(status int) Meaning {
	switch {
	case !e.found, status == http.StatusRequestTimeout:
		return Unknown
	case strings.EqualFold(e.code, CodeActiveRequestAlreadyExists):
		return AlreadyActive
	}
	return Refused
}

// untrusted says that the other end's certificate does not verify. Nothing is
// sent before it does, so this needs no further evidence.
func untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		roots        x509.SystemRootsError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &roots)
}
