package dashboard

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// table is the index over all machines. It is made at the first question, and
// keeps of each machine what it takes to find and to order it.
type table struct {
	source Source
	states []string // in the order in which they are sorted

	mu      sync.Mutex
	loading chan struct{} // closed when rows are there; nil: nobody has asked
	failed  error
	rows    []indexed // by id
	dirty   map[string]bool
	stale   bool // all are to be read anew
	changes int  // how often rows have changed
	found   []finding
}

// indexed is a machine in the index.
type indexed struct {
	// text holds, in lower case and between separators: id, name, action id,
	// error, and the carried values. That is what is searched.
	text          string
	updated       int64
	row, attempts int32
	state         uint8
}

const (
	separator = "\x1f"
	// textBound is how much of a machine's text is searched, in bytes.
	textBound = 4 << 10
	// idField to carriedField are places in the text.
	idField, nameField, actionField, errorField, carriedField = 0, 1, 2, 3, 4
)

func newTable(source Source, states []string) *table {
	return &table{source: source, states: states, dirty: map[string]bool{}}
}

func (t *table) index(m Machine) indexed {
	clean := strings.NewReplacer(separator, " ")
	fields := append([]string{m.ID, m.Name, m.ActionID, m.Error}, m.Carried...)
	for i, f := range fields {
		fields[i] = strings.ToLower(clean.Replace(f))
	}
	text := strings.Join(fields, separator)
	if len(text) > textBound {
		text = strings.Clone(text[:textBound])
	}
	return indexed{
		text: text, updated: m.Updated.UnixNano(), row: int32(m.Row), attempts: int32(m.Attempts), //nolint:gosec // a list has fewer rows
		state: uint8(max(0, slices.Index(t.states, m.State))), //nolint:gosec // a dozen
	}
}

func (m *indexed) field(n int) string {
	rest := m.text
	for range n {
		_, after, ok := strings.Cut(rest, separator)
		if !ok {
			return ""
		}
		rest = after
	}
	field, _, _ := strings.Cut(rest, separator)
	return field
}

func (m *indexed) id() string { return m.field(idField) }

// changed says that a machine stands as it did not before. It does not wait.
func (t *table) changed(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loading != nil {
		t.dirty[strings.ToLower(id)] = true
	}
}

// refill says that many may have changed.
func (t *table) refill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stale = t.loading != nil
}

// load waits until the rows are there.
func (t *table) load(ctx context.Context) error {
	t.mu.Lock()
	if t.loading == nil {
		t.loading = make(chan struct{})
		go t.read()
	}
	loading := t.loading
	t.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-loading:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *table) read() {
	rows, err := t.all()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows, t.failed = rows, err
	t.changes++
	close(t.loading)
	if err != nil {
		t.loading = nil // the next question tries again
	}
}

func (t *table) all() ([]indexed, error) {
	rows := []indexed{}
	for m, err := range t.source.Machines() {
		if err != nil {
			return nil, err
		}
		rows = append(rows, t.index(m))
	}
	slices.SortFunc(rows, func(a, b indexed) int { return cmp.Compare(a.id(), b.id()) })
	return slices.Clip(rows), nil
}

// refresh reads what has changed, and returns how often that was so.
func (t *table) refresh() (int, error) {
	t.mu.Lock()
	ids, stale := make([]string, 0, len(t.dirty)), t.stale
	ready := t.rows != nil
	if ready {
		for id := range t.dirty {
			ids = append(ids, id)
		}
		clear(t.dirty)
		t.stale = false
	}
	changes := t.changes
	t.mu.Unlock()
	switch {
	case !ready || len(ids) == 0 && !stale:
		return changes, nil
	case stale:
		rows, err := t.all()
		return t.replace(func() { t.rows = rows }, err)
	}
	fresh, err := t.source.Page(ids)
	return t.replace(func() { t.update(fresh) }, err)
}

func (t *table) replace(change func(), err error) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.stale = true // what was to be read is not lost
		return t.changes, err
	}
	change()
	t.changes++
	return t.changes, nil
}

func (t *table) update(fresh []Machine) {
	// Whoever reads the rows goes on with those it has.
	t.rows = slices.Clone(t.rows)
	for _, m := range fresh {
		now := t.index(m)
		if i, ok := slices.BinarySearchFunc(t.rows, now.id(), func(r indexed, id string) int { return cmp.Compare(r.id(), id) }); ok {
			t.rows[i] = now
		}
	}
}

// query is what a page of the table is asked for.
type query struct {
	words, state, order string
	descending          bool
	offset, limit       int
}

// tablePage is the answer.
type tablePage struct {
	Total    int       `json:"total"`    // machines of the campaign
	Matching int       `json:"matching"` // of these
	Offset   int       `json:"offset"`
	Machines []Machine `json:"machines"`
}

func (t *table) page(ctx context.Context, q query) (tablePage, error) {
	if err := t.load(ctx); err != nil {
		return tablePage{}, err
	}
	rows, order := t.find(q)
	p := tablePage{Total: len(rows), Matching: len(order), Offset: min(q.offset, len(order))}
	shown := order[p.Offset:min(len(order), p.Offset+q.limit)]
	ids := make([]string, len(shown))
	for i, n := range shown {
		ids[i] = rows[n].id()
	}
	var err error
	p.Machines, err = t.source.Page(ids)
	return p, err
}

// finding is the answer to a query but for its page. It is kept: a table that is
// looked at while it changes is not sorted anew each time, where that takes long.
type finding struct {
	query
	changes int
	rows    []indexed
	order   []int32
	took    time.Duration
	at      time.Time
}

const (
	findingsKept = 8
	// patience is how many times as long as it took to make a finding is kept
	// although the machines have changed, and a state shown.
	patience = 10
)

func (t *table) find(q query) ([]indexed, []int32) {
	q.offset, q.limit = 0, 0
	t.mu.Lock()
	rows, changes := t.rows, t.changes
	for _, f := range t.found {
		if f.query == q && (f.changes == changes || time.Since(f.at) < patience*f.took) {
			t.mu.Unlock()
			return f.rows, f.order
		}
	}
	t.mu.Unlock()
	began := time.Now()
	order := t.search(rows, q)
	f := finding{q, changes, rows, order, time.Since(began), time.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found = slices.DeleteFunc(t.found, func(old finding) bool { return old.query == q })
	t.found = append(t.found[max(0, len(t.found)-findingsKept+1):], f)
	return rows, order
}

func (t *table) search(rows []indexed, q query) []int32 {
	words, state := strings.Fields(strings.ToLower(q.words)), slices.Index(t.states, q.state)
	key := sortKey(q.order)
	var found []sortable
	for i := range rows {
		if m := &rows[i]; (q.state == "" || int(m.state) == state) && containsAll(m.text, words) {
			found = append(found, key(m, int32(i)))
		}
	}
	slices.SortFunc(found, func(a, b sortable) int {
		c := cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.text, b.text))
		if q.descending {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(rows[a.place].row, rows[b.place].row))
	})
	order := make([]int32, len(found))
	for i, f := range found {
		order[i] = f.place
	}
	return order
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// sortable is a machine at a place of the index, with what it is sorted by: either
// of the two.
type sortable struct {
	text   string
	number int64
	place  int32
}

// sortKey is that of a column of [Machine], named as in JSON, or of the nth carried
// column as "carried:n"; the row where there is no such column.
func sortKey(column string) func(m *indexed, place int32) sortable {
	byField := func(n int) func(*indexed, int32) sortable {
		return func(m *indexed, place int32) sortable { return sortable{text: m.field(n), place: place} }
	}
	byNumber := func(number func(*indexed) int64) func(*indexed, int32) sortable {
		return func(m *indexed, place int32) sortable { return sortable{number: number(m), place: place} }
	}
	switch column {
	case "machine_id":
		return byField(idField)
	case "name":
		return byField(nameField)
	case "action_id":
		return byField(actionField)
	case "error":
		return byField(errorField)
	case "state":
		return byNumber(func(m *indexed) int64 { return int64(m.state) })
	case "attempts":
		return byNumber(func(m *indexed) int64 { return int64(m.attempts) })
	case "updated_at":
		return byNumber(func(m *indexed) int64 { return m.updated })
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(column, "carried:")); err == nil && n >= 0 && n < 1000 {
		return byField(carriedField + n)
	}
	return byNumber(func(m *indexed) int64 { return int64(m.row) })
}
