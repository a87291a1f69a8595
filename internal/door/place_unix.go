//go:build unix

package door

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// Directories returns where the sockets of this account may be, the best first:
// the directory of its session, also for a process that was started outside of
// it, its state directory, and a directory of its own among the temporary files.
func Directories(getenv func(string) string, state string) []string {
	uid := strconv.Itoa(os.Getuid())
	var dirs []string
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, "offboard"))
	}
	if runtime.GOOS == "linux" {
		dirs = append(dirs, filepath.Join("/run/user", uid, "offboard"))
	}
	if state != "" {
		dirs = append(dirs, filepath.Join(state, "door"))
	}
	return append(dirs, filepath.Join(os.TempDir(), "offboard-"+uid))
}

// longest is the longest path that every system takes for a socket.
const longest = 103

func (p Place) listen(name string) (net.Listener, error) {
	var failed error
	for _, dir := range p.Dirs {
		l, err := listenIn(dir, name)
		if err == nil {
			return l, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func listenIn(dir, name string) (net.Listener, error) {
	path, err := socketPath(dir, name)
	if err != nil {
		return nil, err
	}
	// The parent of the session's directory is there or is nobody's to make.
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &listener{l}, nil
}

func socketPath(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	if len(path) > longest {
		return "", fmt.Errorf("%s: longer than a socket's path may be", path)
	}
	return path, nil
}

// private makes sure that nobody else can put anything into a directory.
func private(dir string) error {
	info, err := os.Lstat(dir) //nolint:gosec // the account's own choice of a directory
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s: not a directory", dir)
	case !ok || int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s: %w, or is open to others", dir, ErrStranger)
	}
	return nil
}

// removeStale removes the socket of a process that is dead: the lock of the
// journal is ours.
func removeStale(path string) error {
	info, err := os.Lstat(path) //nolint:gosec // in a directory of our own
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s: not a socket", path)
	}
	return os.Remove(path) //nolint:gosec // a socket in a directory of our own
}

func (p Place) dial(ctx context.Context, name string) (net.Conn, error) {
	var failed error
	for _, dir := range p.Dirs {
		c, err := dialIn(ctx, dir, name)
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		failed = errors.Join(failed, err)
	}
	return nil, errors.Join(ErrNobody, failed)
}

func dialIn(ctx context.Context, dir, name string) (net.Conn, error) {
	path, err := socketPath(dir, name)
	if err != nil {
		return nil, err
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	known, err := identify(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return known, nil
}

// listener accepts connections of this account.
type listener struct{ *net.UnixListener }

// Accept drops whoever is somebody else.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.UnixListener.Accept()
		if err != nil {
			return nil, err
		}
		known, err := identify(c)
		if err == nil {
			return known, nil
		}
		_ = c.Close()
	}
}

// identify asks the system who is on the other side: some do not look at the
// mode of a socket.
func identify(c net.Conn) (*conn, error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	uid, asked := -1, error(nil)
	if err := raw.Control(func(fd uintptr) { uid, asked = peer(int(fd)) }); err != nil || asked != nil {
		return nil, errors.Join(err, asked)
	}
	return admit(c, uid, os.Getuid())
}

// admit lets this account in.
func admit(c net.Conn, uid, ours int) (*conn, error) {
	if uid != ours {
		return nil, fmt.Errorf("uid %d: %w", uid, ErrStranger)
	}
	account := "uid " + strconv.Itoa(uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		account = u.Username
	}
	return &conn{c, account}, nil
}
