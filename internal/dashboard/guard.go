package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// policy lets the page use its own files and reach for nothing else. Trusted types
// keep its scripts from making markup of text, whatever the text says.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// newToken returns 256 random bits.
func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// guarded checks where a request is meant to go, and says how its answer is to be
// treated. Names that lead here by an attacker's DNS are told apart by what the
// browser sends as Host: an address, localhost, or the name that was listened at.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy":      policy,
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Cache-Control":                "no-store",
		} {
			w.Header().Set(name, value)
		}
		if !s.meant(r.Host) {
			http.Error(w, "this page is not served under that name", http.StatusMisdirectedRequest)
			return
		}
		if err := s.crossOrigin.Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, largest)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) meant(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	return strings.EqualFold(name, "localhost") || s.options.Host != "" && strings.EqualFold(name, s.options.Host)
}

// known lets in who has the token.
func (s *Server) known(next http.HandlerFunc) http.HandlerFunc {
	want := sha256.Sum256([]byte("Bearer " + s.token))
	return func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "open the link that the command has printed", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// meantSo lets through what a script of the page alone can ask for: a form of
// another site sends no JSON.
func meantSo(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "application/json is expected", http.StatusUnsupportedMediaType)
			return
		}
		next(w, r)
	}
}
