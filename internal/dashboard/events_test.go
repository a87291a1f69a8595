package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// told is what a page is sent.
type told struct {
	name, id string
	samples  samplesMessage
	state    envelope
}

// page reads events.
type page struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

func (s *served) open(last string) *page {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), time.Minute)
	s.t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Last-Event-ID", last)
	w, err := http.DefaultClient.Do(r)
	if err != nil || w.StatusCode != http.StatusOK {
		s.t.Fatalf("%v, %v", w, err)
	}
	lines := bufio.NewScanner(w.Body)
	lines.Buffer(nil, 1<<20)
	return &page{s.t, lines, func() { stop(); _ = w.Body.Close() }}
}

func (p *page) next() (e told) {
	p.t.Helper()
	for p.lines.Scan() {
		name, value, _ := strings.Cut(p.lines.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			var into any = &e.state
			if e.name == "samples" {
				into = &e.samples
			}
			if err := json.Unmarshal([]byte(value), into); err != nil {
				p.t.Fatal(err)
			}
			return e
		}
	}
	p.t.Fatalf("no more: %v", p.lines.Err())
	return e
}

// until reads events until one is as it is waited for.
func (p *page) until(is func(told) bool) told {
	p.t.Helper()
	for {
		if e := p.next(); is(e) {
			return e
		}
	}
}

func isState(e told) bool { return e.name == "state" }

// TestEvents: a page is told all at first, then what is new; one that was cut off
// gets the samples that it has missed, and the state as it is; the last one is the
// end.
func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFleet(9)
	s := serve(t, f)
	p := s.open("")
	if first := p.next(); first.name != "samples" || !first.samples.Anew || len(first.samples.Samples) == 0 {
		t.Errorf("first: %+v", first)
	}
	if e := p.until(isState); !e.state.Controls || e.state.Ended || e.state.Campaign == nil {
		t.Errorf("%+v", e)
	}
	last := p.until(func(e told) bool { return e.name == "samples" && !e.samples.Anew })
	p.close()

	f.mu.Lock()
	f.did = append(f.did, "something meanwhile")
	f.mu.Unlock()
	p = s.open(last.id)
	seen, _ := strconv.Atoi(last.id)
	again := p.next()
	for again.name == "state" { // it is there before the next sample
		again = p.next()
	}
	if n, _ := strconv.Atoi(again.id); again.samples.Anew || n != seen+len(again.samples.Samples) {
		t.Errorf("after %s: %+v", last.id, again)
	}
	p.close()
	for _, strange := range []string{"0", "1000000", "-1", "x"} {
		p = s.open(strange)
		if e := p.next(); e.name != "samples" || !e.samples.Anew {
			t.Errorf("after %q: %+v", strange, e)
		}
		p.close()
	}

	p = s.open("")
	before := p.until(isState).state
	if did := before.Campaign.(map[string]any)["did"]; did != 1.0 {
		t.Errorf("%v", before)
	}
	s.got("") // makes the index
	f.mu.Lock()
	f.machines[4].Name = "renamed"
	f.mu.Unlock()
	s.Changed(strings.ToUpper(f.machines[4].ID))
	p.until(func(e told) bool { return e.name == "state" && e.state.Changes >= before.Changes+2 })
	if found := s.got("q=RENAMED"); found.Matching != 1 {
		t.Errorf("%+v", found)
	}
	f.mu.Lock()
	f.machines = f.machines[:5]
	f.mu.Unlock()
	s.Refill()
	p.until(func(e told) bool { return e.name == "state" && e.state.Changes >= before.Changes+3 })
	if found := s.got(""); found.Total != 5 {
		t.Errorf("%+v", found)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	p.until(func(e told) bool { return e.state.Ended })
	p.close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestCrowd: there is room for so many pages, and for the next one when one has gone.
func TestCrowd(t *testing.T) {
	t.Parallel()
	h := &hub{clients: map[chan struct{}]bool{}}
	var last func()
	for range crowd {
		_, leave := h.join()
		if last = leave; leave == nil {
			t.Fatal("no room")
		}
	}
	if _, leave := h.join(); leave != nil {
		t.Error("room for one more")
	}
	last()
	if _, leave := h.join(); leave == nil {
		t.Error("no room after one has gone")
	}
}

// TestSamplesAreThinned: however long a process takes, its samples are bounded, and
// show it from its beginning to now; a page gets each once, or all anew.
func TestSamplesAreThinned(t *testing.T) {
	t.Parallel()
	h := &hub{source: newFleet(1), clients: map[chan struct{}]bool{}, every: 1}
	seen, held := 0, 0 // what a page has
	for range 10 * samplesKept {
		h.sample()
		n := h.since(seen, 0)
		if n.anew {
			held = 0
		}
		held += len(n.samples)
		if seen = n.last; held != len(h.samples) || len(h.samples) != len(h.numbers) || len(h.samples) > samplesKept {
			t.Fatalf("the page has %d of %d samples (%d numbers) at %d", held, len(h.samples), len(h.numbers), seen)
		}
	}
	if h.numbers[0] > 2*h.every || h.numbers[len(h.numbers)-1] != h.taken || h.every < 8 {
		t.Errorf("from %d to %d, one of %d", h.numbers[0], h.numbers[len(h.numbers)-1], h.every)
	}
}
