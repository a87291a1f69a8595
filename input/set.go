package input

import (
	"hash/maphash"
	"slices"
)

// idSet holds ids. A map with keys of 20 bytes is slower by half and takes twice the memory at a million of them; here
// keys lie one after the other, and a table of their places, never more than half full, is all that is probed.
type idSet struct {
	seed  maphash.Seed // random, so that no list can be made whose ids collide
	keys  []idKey
	table []uint32 // places in keys, counted from 1; 0 is free. Its length is a power of two.
}

func newIDSet() *idSet {
	return &idSet{seed: maphash.MakeSeed(), table: make([]uint32, 64)}
}

// add says whether the id is new.
func (s *idSet) add(key idKey) bool {
	slot := s.find(key)
	if s.table[slot] != 0 {
		return false
	}
	s.keys = append(s.keys, key)
	s.table[slot] = uint32(len(s.keys)) //nolint:gosec // 2³² machines do not fit into memory
	if 2*len(s.keys) > len(s.table) {
		s.rehash(2 * len(s.table))
	}
	return true
}

// find returns the slot that holds the id, or the free one that should.
func (s *idSet) find(key idKey) int {
	mask := len(s.table) - 1
	slot := int(maphash.Bytes(s.seed, key[:])) & mask //nolint:gosec // only the low bits count
	for {
		at := s.table[slot]
		if at == 0 || s.keys[at-1] == key {
			return slot
		}
		slot = (slot + 1) & mask
	}
}

// grow makes room for so many more ids.
func (s *idSet) grow(more int) {
	s.keys = slices.Grow(s.keys, more)
	size := len(s.table)
	for size < 2*cap(s.keys) {
		size *= 2
	}
	if size > len(s.table) {
		s.rehash(size)
	}
}

func (s *idSet) rehash(size int) {
	s.table = make([]uint32, size)
	for i, key := range s.keys {
		s.table[s.find(key)] = uint32(i + 1)
	}
}
