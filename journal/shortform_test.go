package journal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestShortForm: whatever an event is stored as, it unfolds to the object that
// encoding/json makes of it, which the chain hashes and an export shows.
func TestShortForm(t *testing.T) {
	t.Parallel()
	plain := func(change func(*Event)) Event {
		e := Event{
			Kind: KindIntent, Time: time.Date(2026, 8, 1, 10, 0, 0, 123456789, time.UTC), Campaign: "spring <&>",
			MachineID: strings.Repeat("0a", idSize), From: Planned, To: Sending, Attempt: 1, Token: 1<<64 - 1,
		}
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		event Event
		short bool
	}{
		"an intent":            {plain(func(*Event) {}), true},
		"without a token":      {plain(func(e *Event) { e.Token = 0 }), true},
		"without an attempt":   {plain(func(e *Event) { e.Attempt = 0 }), true},
		"at a full second":     {plain(func(e *Event) { e.Time = e.Time.Truncate(time.Second) }), true},
		"an acceptance":        {plain(func(e *Event) { e.Kind, e.ActionID, e.Origin, e.Token = KindAccepted, "5382f7ea", Adopted, 0 }), true},
		"a GUID":               {plain(func(e *Event) { e.Kind, e.ActionID = KindSettled, "5382f7ea-7557-4ab7-9782-d50480024a4e" }), true},
		"a GUID in capitals":   {plain(func(e *Event) { e.Kind, e.ActionID = KindSettled, "5382F7EA-7557-4AB7-9782-D50480024A4E" }), true},
		"a GUID without lines": {plain(func(e *Event) { e.Kind, e.ActionID = KindSettled, "5382f7ea75574ab79782d50480024a4e" }), true},
		"a later attempt":      {plain(func(e *Event) { e.Attempt = 300 }), true},
		"a long action id":     {plain(func(e *Event) { e.Kind, e.ActionID = KindSettled, strings.Repeat("x", 300) }), true},
		"another kind":         {plain(func(e *Event) { e.Kind = KindReleased }), false},
		"a campaign in quotes": {plain(func(e *Event) { e.Campaign = `"spring"` }), false},
		"a campaign in German": {plain(func(e *Event) { e.Campaign = "Frühling" }), false},
		"a broken action id":   {plain(func(e *Event) { e.ActionID = "a\xff\\\n" }), false},
		"a machine in capitals": {plain(func(e *Event) {
			e.MachineID = strings.ToUpper(e.MachineID)
		}), false},
		"a distant time":    {plain(func(e *Event) { e.Time = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) }), false},
		"another zone":      {plain(func(e *Event) { e.Time = e.Time.In(time.FixedZone("", 3600)) }), false},
		"a failure":         {plain(func(e *Event) { e.Failure = &Failure{Reason: ReasonRefused} }), false},
		"an authorised one": {plain(func(e *Event) { e.Authorised = 1 }), false},
		"no machine":        {Event{Kind: KindIntent, Time: time.Unix(1, 0).UTC(), From: Planned, To: Sending}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want bytes.Buffer
			encoder := json.NewEncoder(&want)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(&c.event); err != nil {
				t.Fatal(err)
			}
			value, hash, err := encodeEvent(digest{1}, 7, &c.event)
			if err != nil {
				t.Fatal(err)
			}
			e, err := decodeEvent(eventKey(7), value)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.object(); string(got)+"\n" != want.String() {
				t.Errorf("unfolded to %s, not to %s", got, want.String())
			}
			if e.hash != hash || !e.follows(digest{1}) || e.Seq != 7 {
				t.Errorf("event %d with hash %s, which was written with %s", e.Seq, e.hash, hash)
			}
			if short := e.stored[0] == shortForm; short != c.short {
				t.Errorf("short: %t", short)
			}
		})
	}
}

// TestActionIDInItsAction: an id that the action has is kept once.
func TestActionIDInItsAction(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"", `{"id":"5382f7ea-7557"}`, `{"id":"other"}`} {
		r := &record{header: header{state: Accepted}, action: []byte(action), details: details{ActionID: "5382f7ea-7557"}}
		key := rawID{1}.key(1)
		value, err := encodeRecord(key, r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeRecord(key, value)
		if err != nil || again.ActionID != r.ActionID || string(again.action) != action {
			t.Errorf("%q became %+v, %v", action, again, err)
		}
		if times := bytes.Count(value, []byte(r.ActionID)); times != 1 {
			t.Errorf("with %q it is there %d times", action, times)
		}
	}
}
