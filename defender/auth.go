package defender

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The ways to sign in, for [AuthConfig.Method].
const (
	AuthAuto             = "auto"
	AuthToken            = "token"
	AuthClientSecret     = "client-secret"
	AuthCertificate      = "certificate"
	AuthWorkloadIdentity = "workload-identity"
	AuthManagedIdentity  = "managed-identity"
	AuthAzureCLI         = "azure-cli"
	AuthDeviceCode       = "device-code"
)

// AuthMethods returns the ways to sign in, [AuthAuto] first.
func AuthMethods() []string {
	return []string{
		AuthAuto, AuthToken, AuthClientSecret, AuthCertificate, AuthWorkloadIdentity,
		AuthManagedIdentity, AuthAzureCLI, AuthDeviceCode,
	}
}

// AuthConfig says how to sign in. It formats without its secrets.
type AuthConfig struct {
	// Method is one of [AuthMethods]; empty means [AuthAuto], see
	// [AuthConfig.Choose].
	Method string
	// TenantID and ClientID name the tenant and the app registration. A client
	// secret, a certificate and workload identity need both. For a managed
	// identity ClientID picks a user-assigned one, for a device code it is the
	// app to sign in to.
	TenantID, ClientID string
	// ClientSecret, or the file that holds it, read again at each sign-in. A file
	// that others can read fails with [ErrExposed], as do those below.
	ClientSecret     string `json:"-"`
	ClientSecretFile string
	// CertificatePath is a PEM or PKCS#12 file with certificate and private key.
	CertificatePath     string
	CertificatePassword string `json:"-"`
	// CertificatePasswordFile holds the password, and wins over it.
	CertificatePasswordFile string
	// FederatedTokenFile is what workload identity projects.
	FederatedTokenFile string
	// Token is a token that is ready to be used. TokenFile is a file with one,
	// read again when it has expired or was refused; it wins over Token.
	Token     string `json:"-"`
	TokenFile string
	// ManagedIdentity says that the environment announces one.
	ManagedIdentity bool
	// AuthorityURL is the sign-in service, https only. Empty means that of
	// the public cloud.
	AuthorityURL string
	// Scope is what to ask for. Empty means that of the public cloud.
	Scope string
	// Transport carries the sign-in requests. Nil means NewTransport("", nil).
	Transport http.RoundTripper
	// DevicePrompt shows a person what to do to sign in with a device code.
	DevicePrompt func(message string)
}

// Format hides the secrets from every verb of package fmt.
func (c AuthConfig) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "{%s tenant %s client %s at %s}", orDefault(c.Method, AuthAuto), c.TenantID, c.ClientID, c.AuthorityURL)
}

// AuthFromEnv reads an AuthConfig from the environment: AZURE_TENANT_ID,
// AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH,
// AZURE_CLIENT_CERTIFICATE_PASSWORD, AZURE_FEDERATED_TOKEN_FILE and
// AZURE_AUTHORITY_HOST as Azure's own tools know them; OFFBOARD_CLIENT_SECRET_FILE,
// OFFBOARD_TOKEN and OFFBOARD_TOKEN_FILE. IDENTITY_ENDPOINT, MSI_ENDPOINT or
// IMDS_ENDPOINT announce a managed identity, as on App Service and Azure Arc. A
// virtual machine announces nothing: choose its identity by name.
func AuthFromEnv(getenv func(string) string) AuthConfig {
	return AuthConfig{
		TenantID:            getenv("AZURE_TENANT_ID"),
		ClientID:            getenv("AZURE_CLIENT_ID"),
		ClientSecret:        getenv("AZURE_CLIENT_SECRET"),
		ClientSecretFile:    getenv("OFFBOARD_CLIENT_SECRET_FILE"),
		CertificatePath:     getenv("AZURE_CLIENT_CERTIFICATE_PATH"),
		CertificatePassword: getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
		FederatedTokenFile:  getenv("AZURE_FEDERATED_TOKEN_FILE"),
		Token:               getenv("OFFBOARD_TOKEN"),
		TokenFile:           getenv("OFFBOARD_TOKEN_FILE"),
		ManagedIdentity: getenv("IDENTITY_ENDPOINT") != "" || getenv("MSI_ENDPOINT") != "" ||
			getenv("IMDS_ENDPOINT") != "",
		AuthorityURL: getenv("AZURE_AUTHORITY_HOST"),
	}
}

// Choose returns the way to sign in and why it is that one. [AuthAuto] takes the
// first that the config has something for: a ready token, a client secret,
// a certificate, workload identity, a managed identity; failing all, the Azure
// CLI. It never falls back from one that does not work to the next: whose rights
// a campaign runs with must not depend on the weather.
func (c AuthConfig) Choose() (method, why string, err error) {
	if method := orDefault(c.Method, AuthAuto); method != AuthAuto {
		if !slices.Contains(AuthMethods(), method) {
			return "", "", fmt.Errorf("%w: sign-in method %q is none of %s", ErrConfig, method, strings.Join(AuthMethods(), ", "))
		}
		return method, "it was asked for", nil
	}
	switch {
	case c.Token != "" || c.TokenFile != "":
		return AuthToken, "a ready token is given", nil
	case c.ClientSecret != "" || c.ClientSecretFile != "":
		return AuthClientSecret, "a client secret is given", nil
	case c.CertificatePath != "":
		return AuthCertificate, "a certificate is given", nil
	case c.FederatedTokenFile != "":
		return AuthWorkloadIdentity, "a federated token file is given", nil
	case c.ManagedIdentity:
		return AuthManagedIdentity, "the environment announces a managed identity", nil
	}
	return AuthAzureCLI, "nothing else is given", nil
}

// NewTokens returns the source of tokens that c asks for. It reads no file and
// makes no request yet; an unusable config fails with [ErrConfig].
func NewTokens(c AuthConfig) (TokenSource, error) {
	method, _, err := c.Choose()
	if err != nil {
		return nil, err
	}
	c.Method = method
	if c, err = c.complete(); err != nil {
		return nil, err
	}
	if method == AuthToken {
		return &readyToken{given: strings.TrimSpace(c.Token), path: c.TokenFile}, nil
	}
	return &signIn{config: c}, nil
}

// complete fills in the defaults and says what is missing.
func (c AuthConfig) complete() (AuthConfig, error) {
	public, err := ParseCloud("public")
	if err != nil {
		return c, err
	}
	c.AuthorityURL = strings.TrimRight(orDefault(c.AuthorityURL, public.AuthorityURL), "/")
	c.Scope = orDefault(c.Scope, public.Scope)
	if u, err := url.Parse(c.AuthorityURL); err != nil || u.Scheme != "https" || u.User != nil {
		// The parser's error quotes the address, which may hold a password.
		return c, fmt.Errorf("%w: the authority must begin with https:// and a host", ErrConfig)
	}
	for _, need := range c.needs() {
		if need.value == "" {
			return c, fmt.Errorf("%w: %s needs %s", ErrConfig, c.Method, need.name)
		}
	}
	if c.Method == AuthDeviceCode && c.DevicePrompt == nil {
		return c, fmt.Errorf("%w: %s needs somebody to prompt", ErrConfig, c.Method)
	}
	if c.Transport == nil {
		c.Transport, err = NewTransport("", nil)
	}
	return c, err
}

type need struct{ name, value string }

func (c AuthConfig) needs() []need {
	app := []need{{"a tenant id (AZURE_TENANT_ID)", c.TenantID}, {"a client id (AZURE_CLIENT_ID)", c.ClientID}}
	switch c.Method {
	case AuthToken:
		return []need{{"a token (OFFBOARD_TOKEN or OFFBOARD_TOKEN_FILE)", c.Token + c.TokenFile}}
	case AuthClientSecret:
		return append(app, need{"a secret (AZURE_CLIENT_SECRET or OFFBOARD_CLIENT_SECRET_FILE)", c.ClientSecret + c.ClientSecretFile})
	case AuthCertificate:
		return append(app, need{"a certificate (AZURE_CLIENT_CERTIFICATE_PATH)", c.CertificatePath})
	case AuthWorkloadIdentity:
		return append(app, need{"a token file (AZURE_FEDERATED_TOKEN_FILE)", c.FederatedTokenFile})
	case AuthDeviceCode:
		return app
	}
	return nil
}
