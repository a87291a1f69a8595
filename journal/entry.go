package journal

import (
	"encoding/json"
	"time"
)

// Reason says why an attempt came to nothing or stayed unknown.
type Reason string

// The reasons of failures.
const (
	ReasonThrottled    Reason = "throttled"     // the service answered 429
	ReasonNotSent      Reason = "not_sent"      // nothing of the request was written
	ReasonTokenRefused Reason = "token_refused" // 401 with a token that is to be renewed
	ReasonNotFound     Reason = "not_found"     // 404, to be looked at once more
	ReasonRefused      Reason = "refused"       // the service refused for good
	ReasonStopped      Reason = "stopped"       // an answer that stops the run, without effect on the machine
	ReasonUnknown      Reason = "unknown"       // no answer, or one that tells nothing
	ReasonProcessEnded Reason = "process_ended" // the process ended during the request
	ReasonDamaged      Reason = "damaged"       // the journal was damaged, and may have lost a request
	ReasonAbsent       Reason = "absent"        // looks at the tenant's actions showed that nothing arrived
	ReasonVerdict      Reason = "verdict"       // a person said that nothing arrived
)

// Failure is what is known of an attempt without success. Code, Message and
// Target are the service's error envelope; HTTPStatus 0 means that no answer
// came.
type Failure struct {
	Reason     Reason `json:"reason,omitempty"`
	HTTPStatus int    `json:"http_status"`
	Code       string `json:"code"`
	Message    string `json:"message"`
	Target     string `json:"target"`
}

// Action is a MachineAction of the service.
type Action struct {
	ID     string
	Status string          // Pending, InProgress, Succeeded, Failed, TimeOut, or Cancelled with one l or two
	Raw    json.RawMessage // as received
}

// Entry is all that a campaign knows of a machine.
//
// A machine that is planned while another campaign of the journal holds a live
// record of it is settled by that campaign: State, Origin, Action, ActionID,
// Failure, Reason and the times are that record's, and SettledBy names the
// campaign.
type Entry struct {
	MachineID string
	Campaign  string
	State     State
	Row       int // place in the list, from 1
	Name      string
	Comment   string            // the machine's own comment; empty: the campaign's is meant
	Carried   map[string]string // by column
	Attempts  int               // requests begun, whatever became of them
	NotFound  int               // of these, answered with a 404 that was looked at again
	Origin    Origin
	ActionID  string
	Action    json.RawMessage // the MachineAction as last received; nil without one. What is no JSON is kept as a JSON string
	Prior     []string        // ids of actions that are older than our next or last attempt
	Past      []string        // of these, those that were over when the machine was authorised to be sent again
	// Authorised is how often a person had the machine sent again, Word why the
	// last time.
	Authorised int
	Word       string
	Failure    *Failure      // the last attempt's, nil if it had none
	Reason     string        // why excluded, or the words of the verdict
	Sent       time.Time     // when the last attempt began; zero if never
	Answered   time.Time     // when it was answered; zero if it was not
	Updated    time.Time     // when the record changed last
	Cancel     *Cancellation // of the action; nil if nobody asked for one
	SettledBy  string
}

// Standing is the short form of an [Entry], cheap to read by the million. The
// same rule about SettledBy holds; Updated is then the other record's.
type Standing struct {
	MachineID  string
	Row        int
	State      State
	Attempts   int
	NotFound   int
	Updated    time.Time
	SettledBy  string
	Authorised int
}

// Counts is how many machines of a campaign are in each state. Machines that
// another campaign settled count in that one's state.
type Counts struct {
	byState [stateCount + 1]int
	settled int
}

// Of returns the number of machines in a state.
func (c Counts) Of(s State) int {
	if !s.valid() {
		return 0
	}
	return c.byState[s]
}

// Total returns the number of machines in the campaign.
func (c Counts) Total() int {
	n := 0
	for _, count := range c.byState {
		n += count
	}
	return n
}

// SettledElsewhere returns how many of them another campaign settled.
func (c Counts) SettledElsewhere() int { return c.settled }

// Attempt is the right to send one request for a machine.
type Attempt struct {
	Number  int      // from 1, counted per machine and campaign
	Comment string   // the machine's own comment, else the campaign's
	Prior   []string // ids of actions that are older than this attempt
}

// Call is one request that reached the service, or may have.
type Call struct {
	Token    uint64    // the limiter's token that Begin was told of
	Sent     time.Time // when the intent was recorded
	Answered time.Time // zero: never answered
}
