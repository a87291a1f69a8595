//go:build unix && !linux && !darwin && !freebsd

package door

import "os"

// peer takes the directory's word for it: nobody else gets through that.
func peer(int) (int, error) { return os.Getuid(), nil }
