package defender

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const redaction = "[redacted]"

// shortestSecret is the length from which a secret is looked for in texts.
// Anything shorter would mutilate them, and is no secret.
const shortestSecret = 4

// looksSecret finds what nobody told us of: JSON web tokens, authorisation
// headers, a password in an address and the secret fields of a sign-in request.
var looksSecret = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)*` +
	`|(?i:\bbearer\s+)[^\s"']+` +
	`|(?i:\bauthorization["']?\s*[=:]\s*["']?(basic|negotiate|ntlm)\s+)[^\s"']+` +
	`|//[^\s/"'@]+@` +
	`|(?i:\b(client_secret|client_assertion|password|refresh_token|access_token|device_code)["']?\s*[=:]\s*["']?)[^\s"'&,}]+`)

// redact takes the given secrets, encoded or not, and all that looks like one, out
// of a text.
func redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < shortestSecret {
			continue
		}
		for _, disguise := range disguises(secret) {
			text = strings.ReplaceAll(text, disguise, redaction)
		}
	}
	return looksSecret.ReplaceAllString(text, redaction)
}

// proxySecrets are what the proxy to an address is signed in to with, if there is
// one: it may repeat the password, or the header that holds it.
func proxySecrets(transport http.RoundTripper, address string) []string {
	t, ok := transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return nil
	}
	target, err := url.Parse(address)
	if err != nil {
		return nil
	}
	proxy, err := t.Proxy(&http.Request{Method: http.MethodGet, URL: target})
	if err != nil || proxy == nil || proxy.User == nil {
		return nil
	}
	password, _ := proxy.User.Password()
	header := base64.StdEncoding.EncodeToString([]byte(proxy.User.Username() + ":" + password))
	return []string{header, password}
}

// cause is an error from elsewhere whose text is free of secrets. errors.Is sees
// through it, but nothing can unwrap the original and print it.
type cause struct {
	err     error
	secrets []string
}

// safely wraps an error from elsewhere.
func safely(err error, secrets ...string) error { return &cause{err, secrets} }

func (c *cause) Error() string { return words(redact(c.err.Error(), c.secrets...)) }

func (c *cause) Is(target error) bool { return errors.Is(c.err, target) }
