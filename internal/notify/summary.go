package notify

import "time"

// Schema is the number of the generic form. Fields may be added under it; none is
// renamed or given another meaning.
const Schema = 1

// Event is how a command has ended.
type Event string

// The events.
const (
	Ended          Event = "ended"            // by itself; the exit code says how the campaign stands
	StoppedByGuard Event = "stopped_by_guard" // or refused by one before it began
	SignInFailed   Event = "sign_in_failed"   // or a permission is missing
	Refused        Event = "refused"          // wrong usage or a bad list: nothing was sent
	Interrupted    Event = "interrupted"      // by a signal or another command
	Unreachable    Event = "unreachable"      // the service was not there
	Failed         Event = "failed"           // the journal, or something unexpected
	Test           Event = "test"             // nothing has ended: somebody tries the link
)

// Summary is what is posted, and the generic form of it. What is not known is
// absent: a command that ended before it had a campaign has no counts.
type Summary struct {
	Schema      int            `json:"schema"` // set by [Receiver.Post]
	Event       Event          `json:"event"`
	Command     string         `json:"command"` // such as run
	Campaign    string         `json:"campaign,omitempty"`
	Ticket      string         `json:"ticket,omitempty"`
	TenantID    string         `json:"tenant_id,omitempty"`
	Operator    string         `json:"operator"` // account@host
	Version     string         `json:"version"`  // of the program
	StartedAt   time.Time      `json:"started_at"`
	EndedAt     time.Time      `json:"ended_at"`
	ExitCode    int            `json:"exit_code"`
	ExitMeaning string         `json:"exit_meaning"`
	ExitReason  string         `json:"exit_reason"`       // the error in words, else the meaning
	Hint        string         `json:"hint,omitempty"`    // what to do about the error
	Counts      map[string]int `json:"counts,omitempty"`  // machines by state
	Results     map[string]int `json:"results,omitempty"` // machines by what the command found or did
	Calls       *Calls         `json:"calls,omitempty"`
	Chain       *Chain         `json:"chain,omitempty"`
	Next        string         `json:"next,omitempty"` // the command that goes on
}

// Calls are the requests of the command.
type Calls struct {
	Sent      int64 `json:"sent"`
	Throttled int64 `json:"throttled"` // of these, answered 429
}

// Chain is how long the journal's log is, and the hash at its head.
type Chain struct {
	Length uint64 `json:"length"`
	Head   string `json:"head"`
}
