package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// readAheadPiece is what the system is asked for at a time; it reads less of a larger
// one than it was asked for.
const readAheadPiece = 128 << 10

// readAhead has the system read a file in the order of its pages. It is advice: an
// error changes nothing but how long the reading takes. Of a file in memory it costs
// next to nothing.
func readAhead(f *os.File, size int64) {
	for at := int64(0); at < size; at += readAheadPiece {
		if unix.Fadvise(int(f.Fd()), at, readAheadPiece, unix.FADV_WILLNEED) != nil {
			return
		}
	}
}
