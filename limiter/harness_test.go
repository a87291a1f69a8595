package limiter

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// scenario is one campaign of calls against a server that only watches. Run it
// inside a synctest bubble.
type scenario struct {
	Quotas    []Quota
	Guard     time.Duration
	Late      time.Duration // how late the server may see a call that was given up
	TakenLate time.Duration // what the limiter believes of it; the same unless the test is a control
	Pace      Pace
	Processes int // at the same time
	Workers   int // in each process
	Calls     int
	Latency   time.Duration // each call takes 0 to this
	Timeout   time.Duration // after which a call without an answer is given up
	Lost      float64       // share of the calls that get no answer
	Unused    float64       // share of the tokens that are not used
	Refused   float64       // share of the calls that are answered 429
	Kills     int           // of a random process each, at a random time
	LoseFile  bool          // each kill takes the ledger file with it
	Plain     bool          // plain buckets instead of this package: the control
	Seed      uint64
	Faults    *atomic.Int64 // counts kills, and calls that are lost, refused or not made; may be nil
}

// ticket is what the scenario needs of a token.
type ticket interface {
	ID() uint64
	Answered()
	GivenUp()
	Unused()
	Refused(Throttle)
}

// world is a running scenario and what the server saw of it.
type world struct {
	scenario
	t       *testing.T
	path    string
	left    atomic.Int64
	started time.Time

	mu       sync.Mutex
	rand     *rand.Rand
	arrivals []time.Duration // since the start, of calls that the server counted
	journal  map[uint64]Call
}

// run plays the scenario to its end and returns when the server counted calls.
func (s scenario) run(t *testing.T) []time.Duration {
	t.Helper()
	w := &world{
		scenario: s, t: t, started: time.Now(),
		path:    filepath.Join(t.TempDir(), "ledger"),
		rand:    rand.New(rand.NewPCG(s.Seed, 1)),
		journal: map[uint64]Call{},
	}
	w.left.Store(int64(s.Calls))
	var processes sync.WaitGroup
	for i := range s.Processes {
		kills := s.Kills / s.Processes
		if i == 0 {
			kills += s.Kills % s.Processes
		}
		processes.Go(func() { w.lives(kills) })
	}
	processes.Wait()
	slices.Sort(w.arrivals)
	return w.arrivals
}

// lives runs a process that is killed so many times and started anew.
func (w *world) lives(kills int) {
	for kill := range kills + 1 {
		ctx, cancel := context.WithCancel(w.t.Context())
		take, crash := w.start()
		if kill < kills {
			time.AfterFunc(w.upTo(20*time.Second), func() {
				w.fault()
				cancel()
				crash()
			})
		}
		var workers sync.WaitGroup
		for range w.Workers {
			workers.Go(func() { w.work(ctx, take) })
		}
		workers.Wait()
		if kill < kills {
			<-ctx.Done()
		}
		cancel()
		crash()
		<-time.After(w.upTo(5 * time.Second))
	}
}

// start opens the limiter of a new process.
func (w *world) start() (take func(context.Context) (ticket, error), crash func()) {
	if w.Plain {
		return w.plain(), func() {}
	}
	path := w.path
	if w.LoseFile {
		path = filepath.Join(w.t.TempDir(), "ledger")
	}
	w.mu.Lock()
	recent := make([]Call, 0, len(w.journal))
	for _, c := range w.journal {
		recent = append(recent, c)
	}
	w.mu.Unlock()
	if !w.LoseFile {
		recent = nil
	}
	g, err := OpenLedger(path, known(recent...))
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := New(Config{Quotas: w.Quotas, Guard: w.Guard, LateArrival: cmp.Or(w.TakenLate, w.Late), Pace: w.Pace, Ledger: g})
	if err != nil {
		w.t.Fatal(err)
	}
	return func(ctx context.Context) (ticket, error) { return l.Take(ctx) }, sync.OnceFunc(func() { crashLedger(g) })
}

// crashLedger leaves the files as a kill does.
func crashLedger(g *Ledger) {
	g.entered <- struct{}{}
	defer func() { <-g.entered }()
	g.closed = true
	_ = g.file.Close()
	_ = g.alive.Unlock()
	_ = g.lock.Close()
}

// plain is what most clients do: a bucket for each quota, and nothing else.
func (w *world) plain() func(context.Context) (ticket, error) {
	var buckets []*rate.Limiter
	for _, q := range w.Quotas {
		buckets = append(buckets, rate.NewLimiter(rate.Limit(float64(q.N)/q.Per.Seconds()), q.N))
	}
	return func(ctx context.Context) (ticket, error) {
		for _, b := range buckets {
			if err := b.Wait(ctx); err != nil {
				return nil, err
			}
		}
		return untracked{}, nil
	}
}

// untracked is the ticket of a client that does not care how its calls end.
type untracked struct{}

func (untracked) ID() uint64       { return 0 }
func (untracked) Answered()        {}
func (untracked) GivenUp()         {}
func (untracked) Unused()          {}
func (untracked) Refused(Throttle) {}

func (w *world) work(ctx context.Context, take func(context.Context) (ticket, error)) {
	for {
		if w.left.Add(-1) < 0 {
			w.left.Add(1)
			return
		}
		tk, err := take(ctx)
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
				w.t.Error(err)
			}
			w.left.Add(1)
			return
		}
		w.call(ctx, tk)
	}
}

// call plays one call with a random fate.
func (w *world) call(killed context.Context, tk ticket) {
	sent := time.Now()
	w.write(Call{ID: tk.ID(), Sent: sent})
	fate, latency := w.chance(), w.upTo(w.Latency)
	if fate < w.Unused+w.Refused+w.Lost {
		w.fault()
	}
	switch {
	case fate < w.Unused:
		tk.Unused()
	case fate < w.Unused+w.Refused:
		if w.alive(killed, latency) {
			tk.Refused(Throttle{Wait: w.upTo(10*time.Second) - 5*time.Second, Period: w.Quotas[0].Per})
		}
	case fate < w.Unused+w.Refused+w.Lost:
		alive := w.alive(killed, w.Timeout)
		w.arriveLate(sent)
		if alive {
			tk.GivenUp()
		}
	case w.alive(killed, latency):
		w.arrive(-w.upTo(latency)) // some time between sending and now
		tk.Answered()
		w.write(Call{ID: tk.ID(), Sent: sent, Answered: time.Now()})
	default:
		w.arriveLate(sent) // the process died
	}
}

func (w *world) fault() {
	if w.Faults != nil {
		w.Faults.Add(1)
	}
}

// arriveLate is the fate of a call that nobody waits for any more: it reached
// the server at some time since it was sent, or is still on its way, but not
// for longer than the late arrival. That bound runs from the moment at which it
// was given up or its process died, so only now is it known.
func (w *world) arriveLate(sent time.Time) {
	waited := time.Since(sent)
	w.arrive(w.upTo(waited+w.Late) - waited)
}

// alive waits for the answer, or for the process's death.
func (w *world) alive(killed context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return killed.Err() == nil
	case <-killed.Done():
		return false
	}
}

func (w *world) arrive(from time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals = append(w.arrivals, time.Since(w.started)+from)
}

func (w *world) write(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal[c.ID] = c
}

func (w *world) chance() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.Float64()
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.chance() * float64(d)) }
