package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// Directories returns none: pipes have a name space of their own.
func Directories(func(string) string, string) []string { return nil }

func pipePath(name string) string { return `\\.\pipe\offboard-` + name }

// listen makes the first instance of the pipe, and fails if there is one: what
// somebody else has made is not listened at.
func (Place) listen(name string) (net.Listener, error) {
	owner, err := ourselves()
	if err != nil {
		return nil, err
	}
	l, err := winio.ListenPipe(pipePath(name), &winio.PipeConfig{
		// Owned by us and protected from what it would inherit; one entry.
		SecurityDescriptor: fmt.Sprintf("O:%[1]sD:P(A;;GA;;;%[1]s)", owner),
	})
	if err != nil {
		return nil, err
	}
	return listener{l}, nil
}

func (Place) dial(ctx context.Context, name string) (net.Conn, error) {
	c, err := winio.DialPipeContext(ctx, pipePath(name))
	if err != nil {
		return nil, errors.Join(ErrNobody, err)
	}
	if err := ours(c); err != nil {
		return nil, errors.Join(ErrNobody, err, c.Close())
	}
	return &conn{c, account()}, nil
}

func ourselves() (string, error) {
	u, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	return u.User.Sid.String(), nil
}

// ours makes sure that a pipe was made by this account: anybody can make one of
// this name while no run is there.
func ours(c net.Conn) error {
	pipe, ok := c.(interface{ Fd() uintptr })
	if !ok {
		return errors.New("a pipe without a handle")
	}
	d, err := windows.GetSecurityInfo(windows.Handle(pipe.Fd()), windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	owner, _, err := d.Owner()
	if err != nil {
		return err
	}
	if us, err := ourselves(); err != nil || owner.String() != us {
		return errors.Join(ErrStranger, err)
	}
	return nil
}

// listener accepts connections of this account: the pipe admits no other.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{c, account()}, nil
}

func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "the owner"
}
