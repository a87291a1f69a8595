package dashboard

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

const (
	// refreshEvery is how often the state is looked at while somebody is there.
	refreshEvery = time.Second
	// samplesKept bounds the samples of the quotas, which draw the charts. There is
	// one a second at first; whenever there are too many, every other one goes, and
	// the next ones are taken half as often. So they show a process from its
	// beginning, however long it takes.
	samplesKept = 720
	// crowd is how many pages are kept current at once.
	crowd = 32
)

// envelope is the state as it is sent.
type envelope struct {
	// Changes counts those of the machines: the table is to be asked for again.
	Changes  int    `json:"changes"`
	Ended    bool   `json:"ended"` // this is the last one
	Error    string `json:"error"` // why there is none
	Controls bool   `json:"controls"`
	Why      string `json:"why"` // nothing can be controlled
	Campaign any    `json:"campaign"`
}

// hub has the state ready for every page that is open.
type hub struct {
	source  Source
	table   *table
	options Options

	refreshing sync.Mutex // one at a time
	mu         sync.Mutex
	state      []byte    // the newest envelope
	version    int       // of it
	due        time.Time // not to be looked at before
	samples    []Sample
	numbers    []int // of the samples, from 1
	taken      int   // number of the last one
	thinned    int   // number of the last one when some went
	every      int   // so many looks there is one
	ended      bool
	clients    map[chan struct{}]bool
	stop       chan struct{}
	done       chan struct{}
}

func newHub(source Source, o Options) *hub {
	h := &hub{
		source: source, table: newTable(source, o.States), options: o,
		samples: slices.Clone(o.Samples), every: 1,
		clients: map[chan struct{}]bool{}, stop: make(chan struct{}), done: make(chan struct{}),
	}
	for range h.samples {
		h.taken++
		h.numbers = append(h.numbers, h.taken)
	}
	h.sample()
	go h.run()
	return h
}

func (h *hub) run() {
	defer close(h.done)
	look := time.NewTicker(refreshEvery)
	defer look.Stop()
	for n := 1; ; n++ {
		select {
		case <-h.stop:
			return
		case <-look.C:
		}
		if n%h.every == 0 {
			h.sample()
		}
		if h.watched() && h.isDue() {
			h.refresh()
		}
	}
}

// end sends the last state, and returns when the pages have gone, or have had
// their time for that.
func (h *hub) end() {
	close(h.stop)
	<-h.done
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.refresh()
	late := time.After(leaving)
	for h.watched() {
		select {
		case <-late:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients) > 0
}

// isDue says that the last look is long enough ago for what it took.
func (h *hub) isDue() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !time.Now().Before(h.due)
}

func (h *hub) sample() {
	s, ok := h.source.Sample()
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken++
	h.samples, h.numbers = append(h.samples, s), append(h.numbers, h.taken)
	if len(h.samples) > samplesKept {
		h.samples, h.numbers = everyOther(h.samples), everyOther(h.numbers)
		h.thinned, h.every = h.taken, 2*h.every
	}
	h.wake()
}

// everyOther keeps the last one among them. Whoever still reads the old ones goes
// on with those.
func everyOther[T any](all []T) []T {
	kept := make([]T, 0, samplesKept)
	for i := (len(all) - 1) % 2; i < len(all); i += 2 {
		kept = append(kept, all[i])
	}
	return kept
}

// refresh makes the state anew and has it sent if it is another one.
func (h *hub) refresh() {
	h.refreshing.Lock()
	defer h.refreshing.Unlock()
	began := time.Now()
	e := envelope{Controls: h.options.Controls != nil, Why: h.options.Why}
	changes, err := h.table.refresh()
	if err == nil {
		e.Campaign, err = h.source.Snapshot()
	}
	e.Changes = changes
	if err != nil {
		e.Error = err.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Ended = h.ended
	h.due = time.Now().Add(patience * time.Since(began))
	state, err := json.Marshal(e)
	if err != nil || bytes.Equal(state, h.state) {
		return
	}
	h.state = state
	h.version++
	h.wake()
}

// wake has all pages look; who does not keep up misses what is in between.
func (h *hub) wake() {
	for c := range h.clients {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// join adds a page, if there is room for it.
func (h *hub) join() (woken chan struct{}, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) >= crowd {
		return nil, nil
	}
	c := make(chan struct{}, 1)
	c <- struct{}{}
	h.clients[c] = true
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.clients, c)
	}
}

// news is what a page does not have yet.
type news struct {
	samples []Sample
	anew    bool // the samples are all that there are
	last    int  // number of the last sample
	state   []byte
	version int
	ended   bool
}

// since tells what is new after a sample and a version of the state. After a
// thinning all samples are.
func (h *hub) since(sample, version int) news {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := news{last: h.taken, version: h.version, ended: h.ended}
	if version != h.version {
		n.state = h.state
	}
	n.anew = sample == 0 || sample < h.thinned || sample > n.last
	if n.anew {
		sample = 0
	}
	from, _ := slices.BinarySearch(h.numbers, sample+1)
	n.samples = h.samples[from:]
	return n
}
