package defender

import (
	"errors"
	"net/http"
	"strings"
)

// hint says what a person can do about an answer of the API; "" if nothing.
func hint(e *Error) string {
	switch {
	case errors.Is(e, ErrUntrusted):
		return "if a proxy of yours inspects TLS, or the service has its own certificate authority, name its certificate with --ca-file"
	case errors.Is(e, ErrUnreachable):
		return "check the network, HTTPS_PROXY and the API address"
	case e.Status == http.StatusUnauthorized:
		return "the service does not accept the token: check that it is meant for this API (its audience) and that the tenant's Defender licence is active"
	case e.Status == http.StatusForbidden && e.Meaning == Stop:
		return forbiddenHint(e)
	case e.Status == http.StatusTooManyRequests:
		return "another program uses the same app registration's quota; give this one a share of it"
	case e.Status == http.StatusProxyAuthRequired:
		return "the proxy wants a sign-in: put the user and password into HTTPS_PROXY"
	case e.Status/100 == 3:
		return "a redirect is never followed; check the API address"
	case e.Status/100 == 4 && e.Meaning == Unknown && e.Code == "":
		return "the answer does not look like the service's; check the API address and any proxy in between"
	case errors.Is(e, ErrTooLarge):
		return "ask for fewer rows at once"
	}
	return ""
}

func forbiddenHint(e *Error) string {
	switch {
	case strings.EqualFold(e.Code, "DisabledFeature"):
		return "the feature is switched off for this tenant in the Defender portal"
	case e.Op == opOffboard || e.Op == opCancel:
		return "grant the app registration the application permission " + PermissionOffboard +
			" of WindowsDefenderATP and give admin consent; a wrong token audience looks the same"
	}
	return "grant the app registration the application permission " + PermissionRead +
		" (or " + PermissionReadWrite + ") of WindowsDefenderATP and give admin consent"
}
