package door

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"path/filepath"
)

// ErrNobody is returned by [Place.Dial] when nobody answers at the journal's
// door.
var ErrNobody = errors.New("nobody answers")

// ErrStranger is returned when another account is on the other side, or has had
// its hands on the way there.
var ErrStranger = errors.New("it belongs to another account")

// Place is where the doors of this account are.
type Place struct {
	// Dirs are directories that may hold sockets, the best first; those that
	// are missing are made. All processes have to name the same ones. Windows
	// has no use for them.
	Dirs []string
}

// Listen opens the door of a journal that this process has locked. Each
// connection that is accepted comes from this account.
func (p Place) Listen(journal string) (net.Listener, error) {
	name, err := nameOf(journal)
	if err != nil {
		return nil, err
	}
	return p.listen(name)
}

// Dial knocks at the door of a journal. The error wraps [ErrNobody] when no
// process holds it, or none that opened a door.
func (p Place) Dial(ctx context.Context, journal string) (net.Conn, error) {
	name, err := nameOf(journal)
	if err != nil {
		return nil, errors.Join(ErrNobody, err)
	}
	return p.dial(ctx, name)
}

// nameOf is the same for all paths that lead to the same file.
func nameOf(journal string) (string, error) {
	path, err := filepath.Abs(journal)
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:12]), nil // short: a socket's path has little room
}

// conn is a connection of which it is known who is on the other side.
type conn struct {
	net.Conn
	account string
}
