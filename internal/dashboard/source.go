package dashboard

import (
	"iter"
	"time"
)

// Source is the campaign that is shown. Its methods may be called by many
// goroutines at once.
type Source interface {
	// Snapshot describes the campaign as something that JSON can be made of.
	Snapshot() (any, error)
	// Sample measures the quotas; false when there is nothing to measure.
	Sample() (Sample, bool)
	// Columns names the carried columns, in the order of Machine.Carried.
	Columns() []string
	// Machines yields all machines. After an error, which is yielded alone, it
	// ends.
	Machines() iter.Seq2[Machine, error]
	// Page reads some machines anew.
	Page(ids []string) ([]Machine, error)
}

// Controls change what the process does. An error says why not.
type Controls interface {
	Stop(who string) error
	Pause(who string) error
	Unpause(who string) error
}

// Machine is a row of the table.
type Machine struct {
	ID       string    `json:"machine_id"`
	Name     string    `json:"name"`
	Row      int       `json:"row"`
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	ActionID string    `json:"action_id"`
	Error    string    `json:"error"` // or why it was left out, in words
	Updated  time.Time `json:"updated_at"`
	Carried  []string  `json:"carried"`
}

// Sample is how far the quotas were used at a moment.
type Sample struct {
	At        time.Time `json:"at"`
	Used      []int     `json:"used"`      // of each quota
	Throttled int64     `json:"throttled"` // answers 429 until then
}
