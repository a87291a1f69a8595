//go:build unix

package defender

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestExposedFiles: a secret in a file that others can read is not used, whatever
// the way to sign in; the operator learns which file, and what to do.
func TestExposedFiles(t *testing.T) {
	t.Parallel()
	e := newEntra(t)
	file := write(t, "secret", canary)
	key := write(t, "app.pem", keyPair(t))
	for name, change := range map[string]func(*AuthConfig){
		"token":       func(c *AuthConfig) { c.Method, c.TokenFile = AuthToken, file },
		"secret":      func(c *AuthConfig) { c.ClientSecret, c.ClientSecretFile = "", file },
		"certificate": func(c *AuthConfig) { c.Method, c.CertificatePath = AuthCertificate, key },
	} {
		for mode, refused := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o666: true, 0o601: true} {
			for _, path := range []string{file, key} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			c := e.config()
			change(&c)
			before := e.count()
			_, err := source(t, c).Token(t.Context())
			if !refused {
				if err != nil {
					t.Errorf("%s, %o: %v", name, mode, err)
				}
				continue
			}
			p := problem(t, err)
			if p.Meaning != Stop || !errors.Is(err, ErrExposed) || !errors.Is(err, ErrSignIn) || !strings.HasPrefix(p.Hint, "chmod 600 /") || e.count() != before {
				t.Errorf("%s, %o: %v (%s), %d sign-ins", name, mode, err, p.Hint, e.count()-before)
			}
		}
	}
}

// What a platform mounts, and a pipe, are as they are.
func TestNotExposed(t *testing.T) {
	t.Parallel()
	path := write(t, "open", canary)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for path, refused := range map[string]bool{
		"/run/secrets/client-secret": false, "/var/run/secrets/azure/token": false, "/run/credentials/offboard.service/client-secret": false, "/run/secrets/../x": true, "/etc/run/secrets/x": true, "run/secrets/x": true,
	} {
		if err := private(path, open); errors.Is(err, ErrExposed) != refused {
			t.Errorf("%s: %v", path, err)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skipf("no named pipe here: %v", err)
	}
	info, err := os.Stat(pipe)
	if err != nil {
		t.Fatal(err)
	}
	if err := private(pipe, info); err != nil {
		t.Errorf("%v", err)
	}
}

// TestPasswordFile: a certificate's password may be in a file, which nobody else can
// read, and wins over one that is given.
func TestPasswordFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "password")
	if err := os.WriteFile(path, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config AuthConfig
		want   string
	}{
		{AuthConfig{}, ""},
		{AuthConfig{CertificatePassword: "given"}, "given"},
		{AuthConfig{CertificatePasswordFile: path}, "of the file"},
		{AuthConfig{CertificatePassword: "given", CertificatePasswordFile: path}, "of the file"},
	} {
		if got, err := c.config.readPassword(); err != nil || string(got) != c.want {
			t.Errorf("%q, %v; want %q", got, err, c.want)
		}
	}
	certificate := filepath.Join(dir, "client.pem")
	if err := os.WriteFile(certificate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config := AuthConfig{Method: AuthCertificate, TenantID: "t", ClientID: "c", CertificatePath: certificate, CertificatePasswordFile: filepath.Join(dir, "nothing")}
	if _, err := config.credential(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
	config.CertificatePasswordFile = path
	if text := config.describe(errors.New("it said of the file")); strings.Contains(text, "of the file") {
		t.Errorf("the password is told: %s", text)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.credential(); !errors.Is(err, ErrExposed) {
		t.Errorf("others can read it: %v", err)
	}
}
