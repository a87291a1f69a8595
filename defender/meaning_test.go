package defender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

const (
	notFoundBody  = `{"error":{"code":"ResourceNotFound","message":"Machine 1e5bc9d7e413ddd7902c2932e418702b84d0cc07 was not found","target":"|7a-1."}}`
	activeBody    = `{"error":{"code":"ActiveRequestAlreadyExists","message":"Action is already in progress","target":"5d5d"}}`
	quotaBody     = `{"error":{"code":"429","message":"API calls quota exceeded! Maximum allowed 100 per 00:01:00 for the key Destination+TenantID+AppID. You can send requests again in 8 seconds.","target":"t"}}`
	forbiddenBody = `{"error":{"code":"Forbidden","message":"Missing application roles. API required roles: Machine.Offboard, application roles: Machine.Read.All.","target":"c0"}}`
	policyBody    = `{"error":{"code":"DisallowedOperation","message":"Device group has no automation level","target":"c1"}}`
	odataBody     = `{"error":{"code":"","message":"The query specified in the URI is not valid.","details":[]}}`
	unpaidBody    = `{"error":{"code":"Unauthorized","message":"Unauthorized request - reason of failure: Account mode is inactive","target":"c2"}}`
)

// Every row of what an answer can mean.
func TestMeaning(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	noName := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.invalid"}}
	errWrong := errors.New("another machine")
	status := func(code int, body string) answer { return answer{status: code, body: []byte(body)} }

	for _, row := range []struct {
		name string
		a    answer
		want Meaning
		is   error
	}{
		{"an action of this machine", status(201, "{}"), Applied, nil},
		{"200 as documented", status(200, "{}"), Applied, nil},
		{"202 is 2xx too", status(202, "{}"), Applied, nil},
		{"another machine's action", answer{status: 201, unfit: errWrong}, Unknown, ErrUnfit},
		{"2xx that broke off", answer{status: 201, err: io.ErrUnexpectedEOF}, Unknown, io.ErrUnexpectedEOF},
		{"2xx that never ended", answer{status: 200, err: context.DeadlineExceeded}, Unknown, context.DeadlineExceeded},
		{"2xx too large", answer{status: 200, err: ErrTooLarge}, Unknown, ErrTooLarge},

		{"429", status(429, quotaBody), NotApplied, ErrThrottled},
		{"429 with no body", status(429, ""), NotApplied, ErrThrottled},
		{"429 that broke off", answer{status: 429, err: reset}, NotApplied, ErrThrottled},
		{"no such host", answer{err: noName, unwritten: true}, NotApplied, ErrUnreachable},
		{"connection refused", answer{err: refused, unwritten: true}, NotApplied, ErrUnreachable},
		{"connected, nothing written", answer{err: reset, unwritten: true}, NotApplied, ErrUnsent},
		{"time-out while connecting", answer{err: &timeoutError{}, unwritten: true}, NotApplied, ErrUnreachable},
		{"a TLS alert", answer{err: tls.AlertError(40), unwritten: true}, NotApplied, ErrUnreachable},
		{"401, token not yet replaced", answer{status: 401, stale: true}, NotApplied, ErrTokenRefused},

		{"404 machine", status(404, notFoundBody), Refused, ErrNotFound},
		{"400 of OData, code empty", status(400, odataBody), Refused, nil},
		{"409 with envelope", status(409, `{"error":{"code":"Conflict"}}`), Refused, nil},
		{"bare 405", status(405, ""), Refused, nil},
		{"403 by policy", status(403, policyBody), Refused, nil},
		{"already in progress", status(400, activeBody), AlreadyActive, ErrAlreadyActive},

		{"403 of a missing role", status(403, forbiddenBody), Stop, ErrForbidden},
		{"403 without envelope", status(403, "<html>"), Stop, ErrForbidden},
		{"401 with a fresh token", status(401, unpaidBody), Stop, ErrTokenRefused},
		{"unknown authority", answer{err: x509.UnknownAuthorityError{}, unwritten: true}, Stop, ErrUntrusted},
		{"wrong name", answer{err: &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}, unwritten: true}, Stop, ErrUntrusted},
		{"expired certificate", answer{err: fmt.Errorf("proxy: %w", x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired}), unwritten: true}, Stop, ErrUntrusted},

		{"reset after the write", answer{err: reset}, Unknown, syscall.ECONNRESET},
		{"end of file after the write", answer{err: io.EOF}, Unknown, io.EOF},
		{"time-out after the write", answer{err: &timeoutError{}}, Unknown, context.DeadlineExceeded},
		{"500", status(500, `{"error":{"code":"InternalServerError"}}`), Unknown, nil},
		{"502", status(502, ""), Unknown, nil},
		{"503", status(503, ""), Unknown, nil},
		{"504", status(504, ""), Unknown, nil},
		{"301", status(301, ""), Unknown, nil},
		{"307", status(307, ""), Unknown, nil},
		{"101", status(101, ""), Unknown, nil},
		{"404 of something in between", status(404, "<html>nothing here"), Unknown, nil},
		{"400 of something in between", status(400, `{"error":"bad"}`), Unknown, nil},
		{"408", status(408, `{"error":{"code":"RequestTimeout"}}`), Unknown, nil},
		{"407", status(407, ""), Unknown, nil},
		{"4xx that broke off", answer{status: 400, body: []byte(`{"error":{"co`), err: reset}, Unknown, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := row.a.meaning()
			if m != row.want {
				t.Fatalf("means %v, want %v", m, row.want)
			}
			if m == Applied {
				return
			}
			err := failure(t.Context(), opOffboard, row.a, m, "token")
			if row.is != nil && !errors.Is(err, row.is) {
				t.Errorf("%v is not %v", err, row.is)
			}
			if err.Error() == "" || err.Op != opOffboard {
				t.Errorf("error is %#v", err)
			}
		})
	}
}

// The sentinels must not overlap where a caller decides by them.
func TestSentinelsThatMustNotMatch(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err *Error
		not error
	}{
		{&Error{Meaning: Refused, Status: 403}, ErrForbidden},
		{&Error{Meaning: Unknown, Status: 404}, ErrNotFound},
		{&Error{Meaning: Unknown}, ErrUnsent},
		{&Error{Meaning: NotApplied, Status: 429}, ErrUnsent},
		{&Error{Meaning: NotApplied}, ErrUnreachable},
		{&Error{Meaning: Stop, Status: 403}, ErrTokenRefused},
		{&Error{Meaning: Refused, Status: 400}, ErrAlreadyActive},
	} {
		if errors.Is(row.err, row.not) {
			t.Errorf("%v (%v) is %v", row.err, row.err.Meaning, row.not)
		}
	}
}

func TestMeaningString(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for m := Unknown; m <= Stop; m++ {
		seen[m.String()] = true
	}
	if len(seen) != 6 || seen[""] || Meaning(9).String() != "Meaning(9)" {
		t.Errorf("meanings read %v and %v", seen, Meaning(9))
	}
	var zero Meaning
	if zero != Unknown {
		t.Errorf("the zero value means %v", zero)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*Error{
		"offboard: HTTP 404 ResourceNotFound: Machine 1 was not found (correlation id |7a-1.)": {
			Op: "offboard", Status: 404, Code: "ResourceNotFound", Message: "Machine 1 was not found", Target: "|7a-1.",
		},
		"offboard: HTTP 405":                   {Op: "offboard", Status: 405},
		"sign in: AADSTS7: no: sign-in failed": {Op: "sign in", Code: "AADSTS7", Message: "no", Err: ErrSignIn},
		"list machines: unknown":               {Op: "list machines"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
