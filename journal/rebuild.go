package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// write writes the new journal.
func (f *findings) write(path string) (Salvaged, error) {
	if err := write(path, *f.binding); err != nil {
		return Salvaged{}, err
	}
	// Nobody sees the file before it is whole: one sync at the end is enough.
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		return Salvaged{}, err
	}
	now := time.Now().UTC()
	all := f.conclude(now)
	err = errors.Join(f.writeLog(db), f.writeMachines(db, all, now))
	done := f.summary(all)
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error { return f.writeCampaigns(newBatch(tx, now), all, &done) })
	}
	return done, errors.Join(err, db.Sync(), db.Close())
}

func (f *findings) summary(all []*finding) Salvaged {
	done := Salvaged{
		Chain:    Chain{Length: uint64(len(f.log)), Head: digest{}.String()},
		Complete: f.complete, Machines: len(all),
	}
	if n := len(f.log); n > 0 {
		done.Chain.Head = f.log[n-1].hash.String()
	}
	for seq := range f.events {
		if seq > done.Chain.Length {
			done.Beyond++
		}
	}
	for _, c := range all {
		if c.record.state == InDoubt || c.record.state == Sending {
			done.Doubted++ // what is sending is put in doubt at the end
		}
		if c.lost {
			done.Rebuilt++
		}
	}
	return done
}

// writeLog takes the log over as it is, so that heads that were noted of it stay
// true.
func (f *findings) writeLog(db *bolt.DB) error {
	for chunk := range slices.Chunk(f.log, chunkSize) {
		err := db.Update(func(tx *bolt.Tx) error {
			b := newBatch(tx, time.Time{})
			for _, e := range chunk {
				key := eventKey(e.Seq)
				b.put(b.events, key, seal(key, slices.Concat(e.stored, e.hash[:])), b.events.SetSequence(e.Seq))
			}
			return b.err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *findings) writeMachines(db *bolt.DB, all []*finding, now time.Time) error {
	for chunk := range slices.Chunk(all, chunkSize) {
		err := db.Update(func(tx *bolt.Tx) error {
			b := newBatch(tx, now)
			b.machines.FillPercent = packed
			for _, c := range chunk {
				if e := c.event(f.campaigns[c.key.campaign].Name, f.nameOf(c.record.passed)); e != nil {
					b.putEvent(e)
				}
				b.putRecord(c.key.id.key(c.key.campaign), c.record)
			}
			return errors.Join(b.err, b.putCounts())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// nameOf returns the name of a campaign; "" for none.
func (f *findings) nameOf(number uint32) string {
	if number == 0 {
		return ""
	}
	return f.campaigns[number].Name
}

// writeCampaigns writes the campaigns, and an event for each that is not what it
// was.
func (f *findings) writeCampaigns(b *batch, all []*finding, done *Salvaged) error {
	counted, enlisted := map[uint32]int{}, f.enlisted()
	for _, c := range all {
		counted[c.key.campaign]++
	}
	for _, number := range sortedKeys(f.campaigns) {
		r := f.campaigns[number]
		want := enlisted[r.Name]
		if !f.complete {
			r.TenantRead = time.Time{} // others may have been sent
			want = max(want, r.List.Machines)
		}
		missing := max(0, want-counted[number])
		done.Missing += missing
		if missing > 0 {
			r.Enlisted = false
		}
		if !f.complete || f.lost[number] || missing > 0 {
			r.Updated = b.now
			b.putEvent(&Event{Kind: KindRebuilt, Campaign: r.Name, Info: &r.Info, Machines: counted[number]})
		}
		key := binary.BigEndian.AppendUint32(nil, number)
		body, err := json.Marshal(r)
		b.put(b.campaigns, key, seal(key, body), err)
	}
	return errors.Join(b.err, b.campaigns.SetSequence(uint64(len(f.campaigns))))
}

// enlisted is how many machines each campaign had when it last took a list.
func (f *findings) enlisted() map[string]int {
	machines := map[string]int{}
	for _, seq := range sortedKeys(f.events) {
		for _, e := range f.events[seq] {
			if e.Kind == KindEnlisted || e.Kind == KindRebuilt {
				machines[e.Campaign] = e.Machines
			}
		}
	}
	return machines
}

// finishSalvage puts in doubt what a process left as sending, and checks the new
// journal before anybody gets to see it.
func finishSalvage(ctx context.Context, path string, o Options) error {
	o.ReadOnly = false
	j, err := Open(path, Tenant{}, o)
	if err != nil {
		return err
	}
	_, err = j.Recover()
	if err == nil {
		_, err = j.Check(ctx)
	}
	err = errors.Join(err, j.Close())
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("what was salvaged makes no journal: %v", err) //nolint:errorlint // the damaged journal's state is another matter than the new one's
	}
	return err
}
