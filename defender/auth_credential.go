package defender

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// credential makes the credential of the chosen method. Files with secrets are
// read here, so that a rotated one is found when the credential is made anew.
func (c AuthConfig) credential() (azcore.TokenCredential, error) {
	switch c.Method {
	case AuthClientSecret:
		return c.clientSecret()
	case AuthCertificate:
		return c.certificate()
	case AuthWorkloadIdentity:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: c.clientOptions(), DisableInstanceDiscovery: !c.knownAuthority(),
			TenantID: c.TenantID, ClientID: c.ClientID, TokenFilePath: c.FederatedTokenFile,
		})
	case AuthManagedIdentity:
		return c.managedIdentity()
	case AuthAzureCLI:
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: c.TenantID})
	case AuthDeviceCode:
		return c.deviceCode()
	}
	return nil, fmt.Errorf("%w: no credential for %q", ErrConfig, c.Method)
}

func (c AuthConfig) clientSecret() (azcore.TokenCredential, error) {
	secret, err := c.readSecret()
	if err != nil {
		return nil, err
	}
	return azidentity.NewClientSecretCredential(c.TenantID, c.ClientID, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: c.clientOptions(), DisableInstanceDiscovery: !c.knownAuthority(),
	})
}

func (c AuthConfig) readSecret() (string, error) {
	if c.ClientSecretFile == "" {
		return c.ClientSecret, nil
	}
	return ReadSecretFile(c.ClientSecretFile)
}

// readPassword returns nil where the certificate has none.
func (c AuthConfig) readPassword() ([]byte, error) {
	password, err := c.CertificatePassword, error(nil)
	if c.CertificatePasswordFile != "" {
		password, err = ReadSecretFile(c.CertificatePasswordFile)
	}
	if password == "" || err != nil {
		return nil, err
	}
	return []byte(password), nil
}

func (c AuthConfig) certificate() (azcore.TokenCredential, error) {
	data, err := readPrivate(c.CertificatePath)
	if err != nil {
		return nil, err
	}
	password, err := c.readPassword()
	if err != nil {
		return nil, err
	}
	certificates, key, err := azidentity.ParseCertificates(data, password)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.CertificatePath, err)
	}
	return azidentity.NewClientCertificateCredential(c.TenantID, c.ClientID, certificates, key,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions: c.clientOptions(), DisableInstanceDiscovery: !c.knownAuthority(),
		})
}

func (c AuthConfig) managedIdentity() (azcore.TokenCredential, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: c.clientOptions()}
	o.Retry = policy.RetryOptions{} // the metadata service has habits of its own, which azidentity knows
	if c.ClientID != "" {
		o.ID = azidentity.ClientID(c.ClientID)
	}
	return azidentity.NewManagedIdentityCredential(o)
}

func (c AuthConfig) deviceCode() (azcore.TokenCredential, error) {
	return azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: c.clientOptions(), DisableInstanceDiscovery: !c.knownAuthority(),
		TenantID: c.TenantID, ClientID: c.ClientID,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			c.DevicePrompt(m.Message)
			return nil
		},
	})
}

// clientOptions makes azidentity use our transport, so that the same proxy and
// certificate authorities apply to the sign-in. It retries once only: whoever
// calls us waits for a service that is away, and can tell the operator so.
func (c AuthConfig) clientOptions() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: c.AuthorityURL + "/"},
		Transport: &http.Client{
			Transport:     witness{c.Transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Retry:     policy.RetryOptions{MaxRetries: 1, RetryDelay: 500 * time.Millisecond, TryTimeout: DefaultTimeout},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
}

// knownAuthority says that Microsoft can vouch for the sign-in host. For any
// other, asking Microsoft about it would fail.
func (c AuthConfig) knownAuthority() bool {
	u, err := url.Parse(c.AuthorityURL)
	return err == nil && slices.Contains([]string{
		"login.microsoftonline.com", "login.microsoftonline.us", "login.microsoft.com", "login.windows.net",
	}, strings.ToLower(u.Host))
}
