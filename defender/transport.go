package defender

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// NewTransport returns a transport for the API and for the sign-in: TLS 1.2 or
// later, HTTP/1.1 only. It trusts the system's certificate authorities and, if
// caFile is not empty, those of that PEM file. proxy says which proxy to use for
// a request; nil means what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
func NewTransport(caFile string, proxy func(*http.Request) (*url.URL, error)) (*http.Transport, error) {
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	roots, err := trusted(caFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return oneShot(&http.Transport{
		Proxy:               proxy,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout: 15 * time.Second,
		// As many as there can be workers, and for a shorter time than
		// servers and firewalls keep them.
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}), nil
}

// trusted returns the roots to verify against; nil means the system's.
func trusted(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("%w: certificate authorities: %w", ErrConfig, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without a store has just these
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: %s holds no PEM certificate", ErrConfig, caFile)
	}
	return pool, nil
}
