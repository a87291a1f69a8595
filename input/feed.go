package input

import (
	"slices"
	"strings"

	"github.com/gocarina/gocsv"
)

// Bounds of a batch. What is read ahead is a few times as much.
const (
	batchRows   = 1024
	batchBytes  = MaxRecord // of text, reached by the last row at the latest
	batchValues = 1 << 16   // carried values, reached likewise
	batches     = 3         // one that is filled, one that is collected, and one so that neither waits for the other
)

// feed takes rows from a parser to the collector. The parser runs in a goroutine of its own, ahead of the collector by a
// few batches, so that files are read, hashed, checked and parsed on one processor while another looks for duplicates.
type feed struct {
	*batch                // being filled
	full   chan *batch    // on their way; closed after the last
	free   chan *batch    // to be filled again
	made   int            // batches that there are
	read   func() float64 // the part of the file that has been read
}

// batch is a number of rows with what the collector needs to know of them.
type batch struct {
	rows    []row
	records []record   // of the rows, unless
	narrow  [][]string // these are what gocsv is to make them of: a header and one row each
	carried []string   // values of the carried columns, row after row
	bytes   int        // of text
	part    float64    // of the file that had been read
}

// row is what there is to know of a row besides its record.
type row struct {
	line       int
	element    int    // number of the row in a JSON document, where all may share a line; 0 where the line tells
	column     string // to blame, as the list spells it: that of the machine id, or of the fault
	fault      string // why the row could not even be taken apart, "" when it could
	aad        string // two of its
	onboarding string // carried values
	carried    int    // end of these in batch.carried
}

var _ gocsv.Decoder = (*batch)(nil)

// GetCSVRows hands the batch to gocsv.
func (b *batch) GetCSVRows() ([][]string, error) { return b.narrow[:len(b.rows)+1], nil }

// follow runs a parser and collects its rows. An error of the parser comes after the rows before it.
func (c *collector) follow(src *source, parse func(*feed) error) error {
	f := &feed{full: make(chan *batch, batches), free: make(chan *batch, batches), read: src.progress}
	var ended, failed error
	go func() {
		defer close(f.full)
		f.batch = f.fresh()
		ended = parse(f)
		f.send()
	}()
	for b := range f.full {
		if failed == nil { // if it did, the rest is for nobody, but the parser is not to be left behind
			failed = c.collect(b)
		}
		f.free <- b
	}
	if failed != nil {
		return failed
	}
	return ended
}

// collect adds the rows of a batch.
func (c *collector) collect(b *batch) error {
	if b.narrow != nil && len(b.rows) > 0 {
		if err := gocsv.UnmarshalDecoder(b, &b.records); err != nil {
			return err
		}
	}
	c.part = b.part
	ids := c.parseIDs(b)
	from := 0
	for i := range b.rows {
		c.add(&b.rows[i], &b.records[i], &ids[i], b.carried[from:b.rows[i].carried])
		from = b.rows[i].carried
	}
	return nil
}

// parseIDs parses the ids of a batch and has the set of ids fetch what they will need.
func (c *collector) parseIDs(b *batch) []parsedID {
	ids := slices.Grow(c.ids[:0], len(b.rows))[:len(b.rows)]
	for i := range ids {
		id := &ids[i]
		id.text, id.reason = "", ""
		if text := strings.TrimSpace(b.records[i].ID); text != "" {
			id.key, id.text, id.reason = parseID(text)
			id.hash = c.seen.hash(&id.key)
		}
	}
	c.seen.fetch(ids)
	c.ids = ids
	return ids
}

// put adds a row and its record, whose carried values were put into the batch.
func (f *feed) put(at row, r record, bytes int) {
	f.records = append(f.records[:len(f.rows)], r)
	f.add(at, bytes)
}

// add ends a row, whose carried values and record were put into the batch, and which holds so many bytes of text.
func (f *feed) add(r row, bytes int) {
	r.carried = len(f.carried)
	f.rows = append(f.rows, r)
	f.bytes += bytes
	if len(f.rows) == batchRows || f.bytes >= batchBytes || len(f.carried) >= batchValues {
		f.send()
		f.batch = f.fresh()
	}
}

func (f *feed) send() {
	f.part = f.read()
	f.full <- f.batch
}

// fresh returns an empty batch.
func (f *feed) fresh() *batch {
	if f.made < batches && len(f.free) == 0 {
		f.made++
		return &batch{}
	}
	b := <-f.free
	if len(b.rows) < batchRows {
		// It ended early since its rows are long, and they would be held by the places that no row of the next fills.
		return &batch{}
	}
	b.rows, b.carried, b.bytes = b.rows[:0], b.carried[:0], 0
	return b
}
