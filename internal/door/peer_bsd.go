//go:build darwin || freebsd

package door

import "golang.org/x/sys/unix"

// ofLocal is the level of the options of local sockets.
const ofLocal = 0

// peer is the user id on the other side of a socket.
func peer(fd int) (int, error) {
	c, err := unix.GetsockoptXucred(fd, ofLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(c.Uid), nil
}
