package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// draw returns 32 bytes that depend on nothing but the seed, what they are for and the number. So a
// tenant is the same in every run, whatever the order in which goroutines come by.
func (s *Simulator) draw(purpose string, number int) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s|%d|%d", purpose, s.cfg.Seed, number))
}

// share returns a number in [0,1) that depends on the seed, what it is for and the number.
func (s *Simulator) share(purpose string, number int) float64 {
	d := s.draw(purpose, number)
	return float64(binary.BigEndian.Uint64(d[:8])>>11) / (1 << 53)
}

// guid returns an id that depends on the seed, what it is for and the number.
func (s *Simulator) guid(purpose string, number int) string {
	d := s.draw(purpose, number)
	return formatGUID(d[:16])
}

func formatGUID(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// pick returns an index below n that depends on the seed, what it is for and the number.
func (s *Simulator) pick(purpose string, number, n int) int {
	return min(n-1, int(math.Floor(s.share(purpose, number)*float64(n))))
}
