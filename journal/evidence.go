package journal

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
)

// findings are all that a damaged file still holds that has a right checksum, in
// whatever order and of whatever age.
type findings struct {
	binding   *binding
	campaigns map[uint32]*campaignRecord // the newest of each
	names     map[string]uint32
	events    map[uint64][]storedEvent // different ones of a number were written by commits that failed
	traces    map[traceKey]*trace

	lost     map[uint32]bool // campaigns whose record is
	log      []storedEvent   // from the first event on, without a gap
	complete bool            // the log is certain to have no more events
	overflow bool            // more was found than can have been written
}

// Bounds on what a sound journal holds, so that made-up numbers cost nothing.
const (
	maxCampaigns = 1 << 16
	maxVersions  = 16 // of an event: one was committed, others by commits that failed
)

type traceKey struct {
	id       rawID
	campaign uint32
}

// trace is what is known of a machine in a campaign.
type trace struct {
	latest   *record // the newest that was found; nil when all are lost
	settled  *record // the newest that is settled
	attempts uint32  // the most that any version shows
	events   []*Event
	replayed *replay // by the log without a gap
}

func newFindings() *findings {
	return &findings{
		campaigns: map[uint32]*campaignRecord{}, names: map[string]uint32{}, lost: map[uint32]bool{},
		events: map[uint64][]storedEvent{}, traces: map[traceKey]*trace{},
	}
}

func (f *findings) trace(id rawID, campaign uint32) *trace {
	key := traceKey{id, campaign}
	if f.traces[key] == nil {
		f.traces[key] = &trace{}
	}
	return f.traces[key]
}

// take keeps what has a right checksum. Which bucket it was in its key tells.
func (f *findings) take(key, value []byte) {
	body, err := unseal(key, value)
	if err != nil {
		return
	}
	switch len(key) {
	case keySize:
		f.takeRecord(key, value)
	case 8:
		f.takeEvent(key, value)
	case 4:
		f.takeCampaign(key, value)
	case len(bindingKey):
		var b binding
		if string(key) == string(bindingKey) && json.Unmarshal(body, &b) == nil {
			f.binding = &b
		}
	}
}

func (f *findings) takeRecord(key, value []byte) {
	r, err := decodeRecord(key, value)
	if err != nil {
		return
	}
	id, campaign, err := splitKey(key)
	if err != nil || campaign == 0 || campaign > maxCampaigns || r.passed > maxCampaigns {
		return
	}
	t := f.trace(id, campaign)
	t.attempts = max(t.attempts, r.attempts)
	t.latest = newer(t.latest, r)
	if settled(r.state) {
		t.settled = newer(t.settled, r)
	}
}

// settled says of a state that a machine which once was in it is not sent by the
// same campaign again before a person authorises it.
func settled(s State) bool { return s == Accepted || s.Final() }

func newer(a, b *record) *record {
	if a == nil {
		return b
	}
	order := cmp.Or(cmp.Compare(a.authorised, b.authorised), a.updated.Compare(b.updated), cmp.Compare(a.attempts, b.attempts), cmp.Compare(a.state, b.state))
	if order < 0 {
		return b
	}
	return a
}

func (f *findings) takeEvent(key, value []byte) {
	e, err := decodeEvent(key, value)
	if err != nil || e.Seq == 0 {
		return
	}
	if slices.ContainsFunc(f.events[e.Seq], func(known storedEvent) bool { return known.hash == e.hash }) {
		return // a copy on a page that is no longer used
	}
	if len(f.events[e.Seq]) == maxVersions {
		f.overflow = true
		return
	}
	e.stored = slices.Clone(e.stored)
	f.events[e.Seq] = append(f.events[e.Seq], e)
}

func (f *findings) takeCampaign(key, value []byte) {
	r, err := decodeCampaign(key, value)
	if err != nil {
		return
	}
	number := binary.BigEndian.Uint32(key)
	if number == 0 || number > maxCampaigns {
		return
	}
	if known := f.campaigns[number]; known == nil || known.Updated.Before(r.Updated) {
		f.campaigns[number] = r
	}
}

// link is an event in the chain, with the place of the one before it.
type link struct {
	event  storedEvent
	before int
}

// chain finds the longest log that begins with the first event and whose hashes
// fit. Where a commit failed once, several events may fit in a place; those that
// were never committed lead nowhere.
func (f *findings) chain() (forked bool) {
	var levels [][]link
	for seq := uint64(1); ; seq++ {
		var next []link
		for _, e := range f.events[seq] {
			if seq == 1 && e.follows(digest{}) {
				next = append(next, link{event: e})
			}
			if seq == 1 {
				continue
			}
			for i, l := range levels[seq-2] {
				if e.follows(l.event.hash) {
					next = append(next, link{e, i})
				}
			}
		}
		if len(next) == 0 {
			break
		}
		levels = append(levels, next)
	}
	f.log = make([]storedEvent, len(levels))
	at := 0
	for i := len(levels) - 1; i >= 0; i-- {
		f.log[i], at = levels[i][at].event, levels[i][at].before
	}
	return len(levels) > 0 && len(levels[len(levels)-1]) > 1
}

// assemble makes sense of the findings, given what the file says of the number of
// its last event. The log is complete only if that is certain, all events up to
// there are here and fit, and none beyond was found.
func (f *findings) assemble(last uint64, certain bool) {
	forked := f.chain()
	f.complete = certain && !forked && !f.overflow && last == uint64(len(f.log))
	for seq := range f.events {
		f.complete = f.complete && seq <= last
	}
	replayed := f.replay()
	f.nameCampaigns()
	f.assignEvents(replayed)
}

// replay replays the log. At an event that cannot be it is cut off: what hashes
// rightly need not be true.
func (f *findings) replay() map[string]replay {
	c := &checker{replayed: map[string]replay{}, enlisted: map[string]int{}}
	for i := range f.log {
		if c.replay(f.log[i].Event); c.Total > 0 {
			f.log, f.complete = f.log[:i], false
			return f.replay()
		}
	}
	return c.replayed
}

// nameCampaigns finds the number of every campaign, and a name for every number
// that a record has. Campaigns are numbered as they were started.
func (f *findings) nameCampaigns() {
	started := uint32(0)
	for i := range f.log {
		if e := &f.log[i]; e.Kind == KindStarted {
			if started++; f.campaigns[started] == nil {
				f.invent(started, e.Campaign)
			}
		}
	}
	top := started
	for number := range f.campaigns {
		top = max(top, number)
	}
	for key, t := range f.traces {
		top = max(top, key.campaign)
		for _, r := range []*record{t.latest, t.settled} {
			if r != nil {
				top = max(top, r.passed)
			}
		}
	}
	for number := uint32(1); number <= top; number++ {
		if f.campaigns[number] == nil {
			f.invent(number, fmt.Sprint("recovered-", number))
		}
		f.names[f.campaigns[number].Name] = number
	}
}

// campaignOf returns the number of an event's campaign. One whose number is lost
// gets a new one.
func (f *findings) campaignOf(e *Event) uint32 {
	number, known := f.names[e.Campaign]
	if !known {
		number = uint32(len(f.campaigns) + 1) //nolint:gosec // counts campaigns
		f.invent(number, e.Campaign)
	}
	if f.lost[number] && e.Info != nil {
		f.campaigns[number].Info = e.Info.clone()
		f.campaigns[number].Enlisted = false // its columns are lost
	}
	return number
}

func (f *findings) invent(number uint32, name string) {
	f.campaigns[number] = &campaignRecord{Info: Info{Name: name}}
	f.lost[number], f.names[name] = true, number
}

// assignEvents gives every event to the machine that it moves.
func (f *findings) assignEvents(replayed map[string]replay) {
	for _, seq := range sortedKeys(f.events) {
		for i := range f.events[seq] {
			e := &f.events[seq][i].Event
			number := f.campaignOf(e)
			id, err := parseID(e.MachineID)
			if err != nil || !e.Kind.moves() {
				continue
			}
			t := f.trace(id, number)
			t.events = append(t.events, e)
			if r, ok := replayed[e.MachineID+e.Campaign]; ok {
				t.replayed = &r
			}
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
