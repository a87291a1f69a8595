package defender

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// longestSecret bounds a file with a token, a client secret or a certificate, in
// bytes.
const longestSecret = 1 << 20

// ErrExposed means that others than its owner can read a file with a secret.
// Windows does not tell; there a file has the rights of its directory.
var ErrExposed = errors.New("others can read the file")

// exposed is the error about a file that others can read.
type exposed struct {
	path string
	mode os.FileMode
}

func (e *exposed) Error() string {
	return fmt.Sprintf("%s holds a secret, and others can read it (mode %04o)", e.path, e.mode.Perm())
}

func (e *exposed) Is(target error) bool { return target == ErrExposed }

// hint says what to do about a file that others can read.
func (e *exposed) hint() string { return "chmod 600 " + e.path }

// mounts are where a container's platform puts secrets, with modes that nobody
// inside can change, and systemd the credentials of a service: their mode says
// 0440 where an access list lets the service alone read.
var mounts = []string{"/run/secrets/", "/var/run/secrets/", "/run/credentials/"}

// private refuses a file that others can read, where the platform can tell. What
// is no file, such as a pipe, is nobody else's already.
func private(path string, info os.FileInfo) error {
	if runtime.GOOS == "windows" || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if full, err := filepath.Abs(path); err == nil {
		for _, mount := range mounts {
			if strings.HasPrefix(full, mount) {
				return nil
			}
		}
	}
	return &exposed{path, info.Mode()}
}

// readPrivate reads a file with a secret. When others can read it too, the error
// says so, and what was read serves only to keep it out of texts.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := readBounded(f, longestSecret)
	if err != nil {
		return nil, err
	}
	return data, private(path, info)
}

// ReadSecretFile reads a file that holds a secret on a line of its own, of up to
// 1 MiB. One that others can read too fails with [ErrExposed], and an empty one
// fails. With ErrExposed the secret comes all the same, to be kept out of texts.
func ReadSecretFile(path string) (string, error) {
	data, err := readPrivate(path)
	secret := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	if err == nil && secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, err
}
