package simulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// ErrNotLoopback is the error of [Simulator.Start] for an address that other hosts could reach: a
// simulated tenant hands out tokens to whoever asks.
var ErrNotLoopback = errors.New("the simulated tenant listens on loopback only")

// Server serves a tenant over TLS until it is closed.
type Server struct {
	URL   string // https://127.0.0.1:PORT, the root of both the API and the sign-in endpoints
	CAPEM []byte // the certificate authority that signed the server's certificate

	http *http.Server
	done chan struct{}

	mu    sync.Mutex
	open  int           // connections
	quiet chan struct{} // closed while there are none
}

// Start serves the tenant over TLS, also HTTP/2, on a loopback address such as 127.0.0.1:8443; an empty
// one means any free port of 127.0.0.1. The certificate authority is made on the spot and forgotten.
func (s *Simulator) Start(addr string) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	cert, caPEM, err := makeCertificate()
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", l.Addr(), ErrNotLoopback), l.Close())
	}
	v := &Server{URL: "https://" + l.Addr().String(), CAPEM: caPEM, http: newHTTPServer(s), done: make(chan struct{}), quiet: make(chan struct{})}
	close(v.quiet)
	v.http.ConnState = v.count
	v.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	go func() {
		defer close(v.done)
		_ = v.http.ServeTLS(l, "", "") // ends when Close closes the listener
	}()
	return v, nil
}

// newHTTPServer makes a server that keeps to itself what it thinks of its clients: they are meant to
// be cut off and killed.
func newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
}

// count keeps the number of connections that are open.
func (v *Server) count(_ net.Conn, state http.ConnState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch state {
	case http.StateNew:
		if v.open == 0 {
			v.quiet = make(chan struct{})
		}
		v.open++
	case http.StateClosed, http.StateHijacked:
		v.open--
		if v.open == 0 {
			close(v.quiet)
		}
	default: // still open
	}
}

// Quiet waits until no connection is open. Once a client has died, what it sent has then arrived or
// never will, but for requests that a fault or a latency holds back.
func (v *Server) Quiet(ctx context.Context) error {
	v.mu.Lock()
	quiet := v.quiet
	v.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("connections are open: %w", ctx.Err())
	}
}

// WriteCA writes the certificate authority to a PEM file, for a client that is told to trust it.
func (v *Server) WriteCA(path string) error {
	if err := os.WriteFile(path, v.CAPEM, 0o600); err != nil {
		return fmt.Errorf("write certificate authority: %w", err)
	}
	return nil
}

// Close ends the server and its connections at once. Requests that have been read still arrive.
func (v *Server) Close() error {
	err := v.http.Close()
	<-v.done
	if err != nil {
		return fmt.Errorf("close server: %w", err)
	}
	return nil
}

// makeCertificate makes an authority and a certificate of the loopback names signed by it.
func makeCertificate() (cert tls.Certificate, caPEM []byte, err error) {
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simulated tenant authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "simulated tenant"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, fmt.Errorf("authority key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, fmt.Errorf("server key: %w", err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return cert, nil, fmt.Errorf("authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return cert, nil, fmt.Errorf("server certificate: %w", err)
	}
	cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), nil
}
