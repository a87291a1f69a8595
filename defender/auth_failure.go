package defender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// sighting is what the transport saw last of one sign-in. azidentity turns
// network errors into text, so that they cannot be told apart afterwards.
type sighting struct {
	mu     sync.Mutex
	status int
	err    error
}

type sightingKey struct{}

func (s *sighting) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, sightingKey{}, s)
}

func (s *sighting) note(status int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.err = status, err
}

func (s *sighting) last() (status int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.err
}

// witness is a transport that tells the sighting of the request's context.
type witness struct{ base http.RoundTripper }

func (w witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	s, ok := req.Context().Value(sightingKey{}).(*sighting)
	if !ok {
		return resp, err
	}
	if err != nil {
		s.note(0, err)
		return nil, err
	}
	s.note(resp.StatusCode, nil)
	resp.Body = &witnessedBody{resp.Body, s}
	return resp, nil
}

// witnessedBody tells of an answer that broke off.
type witnessedBody struct {
	io.ReadCloser
	seen *sighting
}

func (b *witnessedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.seen.note(0, err)
	}
	return n, err
}

var entraCode = regexp.MustCompile(`AADSTS\d+`)

// failure says what a failed sign-in means. Nothing was sent to the API, so that
// it is never [Unknown]. The error of azidentity holds the request with all its
// secrets, so that only its text is kept, without them.
func (c AuthConfig) failure(err error, seen *sighting) *Error {
	text := c.describe(err)
	failed := &Error{Op: opSignIn, Meaning: Stop, Code: entraCode.FindString(text), Message: text, Err: ErrSignIn}
	status, broken := seen.last()
	var file *exposed
	switch {
	case errors.As(err, &file):
		failed.Message, failed.Err = "", fmt.Errorf("%w: %w", ErrSignIn, safely(file))
		failed.Hint = file.hint()
	case untrusted(broken):
		failed.Err = fmt.Errorf("%w: %w", ErrSignIn, ErrUntrusted)
		failed.Hint = hint(failed)
	case broken != nil, status/100 == 5, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		failed.Meaning = NotApplied
		failed.Err = fmt.Errorf("%w: %w", ErrSignIn, ErrUnreachable)
		failed.Hint = "check the network, HTTPS_PROXY and the sign-in address"
	default:
		failed.Hint = c.signInHint(failed.Code)
	}
	return failed
}

// describe returns Entra's own sentence if there is one.
func (c AuthConfig) describe(err error) string {
	text := err.Error()
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		if body, err := runtime.Payload(failed.RawResponse); err == nil {
			if o, err := parseObject(body); err == nil {
				text = orDefault(o.text("error_description"), text)
			}
		}
	}
	// A rotated secret is no longer the one that was sent, yet worth hiding.
	secret, _ := c.readSecret()
	password, _ := c.readPassword()
	secrets := append(proxySecrets(c.Transport, c.AuthorityURL), c.ClientSecret, secret, c.CertificatePassword, string(password))
	return words(redact(text, secrets...))
}

func (c AuthConfig) signInHint(code string) string {
	switch code {
	case "AADSTS7000215":
		return "the client secret is wrong; its value is needed, not its id"
	case "AADSTS7000222":
		return "the client secret has expired; make a new one for the app registration"
	case "AADSTS700016":
		return "the app is not known in this tenant; check client id and tenant id, or have an administrator consent to it there"
	case "AADSTS90002", "AADSTS900023":
		return "check the tenant id and the cloud"
	case "AADSTS700027":
		return "upload this certificate to the app registration"
	case "AADSTS500011", "AADSTS65001":
		return "the tenant has not consented to the API: check --scope, grant the permissions and give admin consent"
	case "AADSTS53003":
		return "a conditional access policy forbids this sign-in"
	}
	switch c.Method {
	case AuthAzureCLI:
		return strings.TrimSpace("sign in with: az login --tenant " + c.TenantID + " — or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET")
	case AuthManagedIdentity:
		return "check that this computer has a managed identity, and set AZURE_CLIENT_ID if it is a user-assigned one"
	}
	return "check what the sign-in (" + c.Method + ") is given"
}
