package input

import (
	"hash/maphash"
	"slices"
)

// idSet holds ids. A map with keys of 20 bytes is slower by half and takes twice the memory at a million of them; here
// keys lie one after the other, and a table of their places, never more than half full, is all that is probed.
type idSet struct {
	seed maphash.Seed // random, so that no list can be made whose ids collide
	keys []idKey
	// table holds places in keys, counted from 1; 0 is free. Its length is a power of two, and the bits above those of a
	// place are the id's hash's: most keys that are others need not be looked at to know it.
	table []uint32
	close uint32 // of no meaning
}

func newIDSet() *idSet {
	return &idSet{seed: maphash.MakeSeed(), table: make([]uint32, 64)}
}

// hash returns the hash that add and fetch take.
func (s *idSet) hash(key *idKey) uint64 { return maphash.Bytes(s.seed, key[:]) }

// fetch brings the slots of ids close that are about to be added. Large tables are in no cache: looking for one id after
// the other waits for memory each time, and looking for many waits once.
func (s *idSet) fetch(ids []parsedID) {
	for i := range ids {
		s.close ^= s.table[ids[i].hash&uint64(len(s.table)-1)] //nolint:gosec // a length is not negative
	}
}

// add says whether the id is new.
func (s *idSet) add(key *idKey, hash uint64) bool {
	slot := s.find(key, hash)
	if s.table[slot] != 0 {
		return false
	}
	s.keys = append(s.keys, *key)
	s.set(slot, hash, len(s.keys))
	if 2*len(s.keys) > len(s.table) {
		s.rehash(2 * len(s.table))
	}
	return true
}

func (s *idSet) set(slot uint32, hash uint64, place int) {
	s.table[slot] = s.tag(hash) | uint32(place) //nolint:gosec // 2³² machines do not fit into memory
}

// tag returns the bits of a hash that do not fall on those of a place.
func (s *idSet) tag(hash uint64) uint32 {
	return uint32(hash>>32) &^ uint32(len(s.table)-1) //nolint:gosec // only these bits count
}

// find returns the slot that holds the id, or the free one that should.
func (s *idSet) find(key *idKey, hash uint64) uint32 {
	mask, tag := uint32(len(s.table)-1), s.tag(hash) //nolint:gosec // see set
	slot := uint32(hash) & mask                      //nolint:gosec // only the low bits count
	for {
		at := s.table[slot]
		if at == 0 || at&^mask == tag && s.keys[at&mask-1] == *key {
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
	for i := range s.keys {
		hash := s.hash(&s.keys[i])
		s.set(s.find(&s.keys[i], hash), hash, i+1)
	}
}

// IDs is a set of machine ids in some 30 bytes each. The zero value is empty.
type IDs struct {
	set *idSet
	odd map[string]bool // what is no id as lists have them
}

// Add adds an id.
func (s *IDs) Add(id string) {
	key, ok, upper := keyOf(id)
	switch {
	case !ok || upper:
		if s.odd == nil {
			s.odd = map[string]bool{}
		}
		s.odd[id] = true
		return
	case s.set == nil:
		s.set = newIDSet()
	}
	s.set.add(&key, s.set.hash(&key))
}

// Has says whether the id was added, precisely as it is.
func (s *IDs) Has(id string) bool {
	key, ok, upper := keyOf(id)
	if !ok || upper {
		return s.odd[id]
	}
	return s.set != nil && s.set.table[s.set.find(&key, s.set.hash(&key))] != 0
}
