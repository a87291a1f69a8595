//go:build !unix

package journal

import (
	"os"

	bolt "go.etcd.io/bbolt"
)

// closeReader closes a file that was open for reading. Elsewhere than on Unix no
// child has its descriptor by being forked.
func closeReader(db *bolt.DB, _ *os.File) error { return db.Close() }
