package main

import (
	"encoding/json"
	"iter"
	"time"

	"offboard/journal"
	"offboard/runner"
)

// reportSchema is the version of docs/report.schema.json.
const reportSchema = 1

// campaignReport is a campaign as its journal tells of it: with --format json as it
// is, followed by "machines". It is a written contract (docs/report.schema.json):
// fields are added, never renamed, removed or given another meaning.
type campaignReport struct {
	Schema    int           `json:"schema"`
	MadeAt    time.Time     `json:"made_at"`
	MadeBy    string        `json:"made_by"` // account@host
	Version   string        `json:"version"` // of the tool that made the report
	Campaign  string        `json:"campaign"`
	Ticket    string        `json:"ticket"`
	Comment   string        `json:"comment"`
	CreatedAt time.Time     `json:"created_at"`
	CreatedBy string        `json:"created_by"`
	TenantID  string        `json:"tenant_id"`
	Cloud     string        `json:"cloud"`
	Journal   string        `json:"journal"`
	Chain     journal.Chain `json:"chain"`

	List      planList        `json:"list"`
	Plan      *planMark       `json:"plan"` // null: begun from a list
	Policy    *planSource     `json:"policy"`
	Excludes  []planSource    `json:"exclude_files"` // as the last run that read them found them
	Rules     json.RawMessage `json:"rules"`
	Aborted   *abortion       `json:"aborted"`
	Totals    reportTotals    `json:"totals"`
	Untouched []untouched     `json:"not_touched"`

	Runs           []reportedRun `json:"runs"`
	Overrides      []override    `json:"overrides"`
	Verdicts       []spoken      `json:"verdicts"`
	Authorisations []spoken      `json:"authorisations"`
	Calls          reportedCalls `json:"calls"`

	Verification *reportedVerification `json:"verification"` // null: none was given

	columns  []string
	machines iter.Seq2[reportedMachine, error]
}

// reportTotals are counted over all machines: the states add up to Machines, and so
// do Touched and NotTouched.
type reportTotals struct {
	Machines   int            `json:"machines"`
	ByState    map[string]int `json:"by_state"`
	Touched    int            `json:"touched"` // this campaign has begun a request for it
	NotTouched int            `json:"not_touched"`
	Adopted    int            `json:"adopted"`           // by somebody else's action
	Elsewhere  int            `json:"settled_elsewhere"` // in the state of another campaign, which sent it
}

// untouched are machines that the campaign never sent a request for, and why.
type untouched struct {
	State    string `json:"state"`
	Why      string `json:"why"`
	Machines int    `json:"machines"`
}

// override is what a person said beyond the defaults.
type override struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	What string    `json:"what"`
}

// spoken is a person's word on one machine.
type spoken struct {
	MachineID string    `json:"machine_id"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	// From and To are the machine's states: a verdict leads to accepted (the request
	// was applied) or planned (it was not).
	From string `json:"from"`
	To   string `json:"to"`
}

// reportedRun is one run or resume of the campaign.
type reportedRun struct {
	lastRun
	By string `json:"operator"`
}

// reportedCalls are the requests to offboard.
type reportedCalls struct {
	Sent        int             `json:"sent"` // reached the service, or may have; of these Throttled were answered 429
	Throttled   int             `json:"throttled"`
	CancelCalls int             `json:"cancel_calls"`
	Windows     []callWindow    `json:"windows"`
	PerMinute   []minuteOfCalls `json:"per_minute"` // minutes of the clock with a call of this campaign
}

// callWindow is the fullest rolling window.
type callWindow struct {
	Seconds  int `json:"per_seconds"`
	Limit    int `json:"limit"`            // of the last run, after its share; 0: not known
	Campaign int `json:"most_of_campaign"` // calls in any such window
	Journal  int `json:"most_of_journal"`  // with those of the journal's other campaigns
}

type minuteOfCalls struct {
	At        time.Time `json:"at"`
	Calls     int       `json:"calls"`
	Throttled int       `json:"throttled"`
}

// reportedVerification is the output of verify that was joined.
type reportedVerification struct {
	planSource
	VerifiedAt time.Time              `json:"verified_at"`
	Counts     map[runner.Finding]int `json:"counts"`

	byID map[string]runner.Verified
}

// reportedMachine is all that the report says of a machine.
type reportedMachine struct {
	MachineID    string                `json:"machine_id"`
	Name         string                `json:"name"`
	Row          int                   `json:"row"`
	State        string                `json:"state"`
	NotTouched   string                `json:"not_touched,omitempty"` // why; absent when the campaign began a request for it
	SettledBy    string                `json:"settled_by,omitempty"`  // the campaign that sent it instead
	Comment      string                `json:"comment"`               // that goes with its request
	Carried      map[string]string     `json:"carried"`
	Origin       journal.Origin        `json:"origin,omitempty"`
	Attempts     int                   `json:"attempts"`
	ActionID     string                `json:"action_id,omitempty"`
	ActionStatus string                `json:"action_status,omitempty"` // as last seen
	Requestor    string                `json:"requestor,omitempty"`
	SentAt       time.Time             `json:"sent_at,omitzero"` // the last attempt
	AnsweredAt   time.Time             `json:"answered_at,omitzero"`
	FinalAt      time.Time             `json:"final_at,omitzero"` // when its end was recorded
	Error        *journal.Failure      `json:"error"`
	Reason       string                `json:"reason,omitempty"` // why it was left out, or the verdict's
	Authorised   int                   `json:"authorised,omitempty"`
	Word         string                `json:"word,omitempty"` // why it was sent again, the last time
	Cancel       *journal.Cancellation `json:"cancel,omitempty"`
	Verified     *runner.Verified      `json:"verified,omitempty"`
}
