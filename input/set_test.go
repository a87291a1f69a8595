package input

import (
	"math/rand/v2"
	"testing"
)

// TestIDSet compares the set with a map, with and without room made beforehand.
func TestIDSet(t *testing.T) {
	t.Parallel()
	chance := rand.New(rand.NewPCG(1, 2))
	s, known := newIDSet(), map[idKey]bool{}
	for i := range 20_000 {
		var key idKey
		key[i%len(key)], key[7] = byte(chance.IntN(256)), byte(chance.IntN(32))
		if isNew := s.add(&key, s.hash(&key)); isNew == known[key] {
			t.Fatalf("id %d, %x: new: %t", i, key, isNew)
		}
		known[key] = true
		if i%5000 == 0 {
			s.grow(3000)
		}
	}
	if len(s.keys) != len(known) || len(known) < 1000 {
		t.Errorf("%d ids, want %d", len(s.keys), len(known))
	}
}
