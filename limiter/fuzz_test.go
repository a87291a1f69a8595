package limiter

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzLedgerFile opens anything as a ledger: nothing may panic, no readable
// call may be lost, every unreadable one counts, and what was opened once opens
// again without damage.
func FuzzLedgerFile(f *testing.F) {
	now := time.Now().UnixNano()
	image := appendHeader(nil, header{version: version, seq: 7, newest: now, keep: int64(time.Hour)})
	f.Add([]byte{})
	f.Add([]byte("not a ledger"))
	f.Add(image)
	for k := range kinds {
		image = appendSlot(image, slot{id: uint64(k) + 1, session: 9, stamp: now, kind: k})
	}
	f.Add(image)
	f.Add(image[:len(image)-5])
	f.Add(appendSlot(image, slot{id: 1 << 63, stamp: maxStamp - 1, kind: evenly}))
	f.Add(appendHeader(nil, header{version: version + 1}))

	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "ledger")
		must(t, os.WriteFile(path, b, 0o600))
		g, err := OpenLedger(path, nil)
		if err != nil {
			if h, ok := decodeHeader(b); !ok || h.version == version {
				t.Fatal(err)
			}
			return
		}
		calls, bad := 0, g.Damage().Slots
		for _, s := range g.slots {
			if s.isCall() {
				calls++
			}
		}
		if calls < bad || calls > len(b)/slotSize {
			t.Errorf("%d calls, %d unreadable, in %d bytes", calls, bad, len(b))
		}
		l, err := New(Config{Ledger: g})
		must(t, err)
		if s := l.Status(); s.Quotas[1].Used > calls || s.Quotas[1].Used < bad || s.PausedUntil.Sub(s.Now) > longestPause {
			t.Errorf("%d calls, %d unreadable: %+v", calls, bad, s)
		}
		must(t, l.Close())
		g, err = OpenLedger(path, nil)
		must(t, err)
		if g.Damage() != (Damage{}) {
			t.Errorf("damage again: %+v", g.Damage())
		}
		must(t, g.Close())
	})
}

// FuzzSlot checks that whatever decodes encodes to the same bytes, so that
// nothing can hide in a slot.
func FuzzSlot(f *testing.F) {
	f.Add(make([]byte, slotSize))
	f.Add(appendSlot(nil, slot{id: 1, session: 2, stamp: 3, kind: answered}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := decodeSlot(b); ok && string(appendSlot(nil, s)) != string(b) {
			t.Errorf("%x decodes to %+v", b, s)
		}
	})
}
