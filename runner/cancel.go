package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// CancelService is the part of the API that gives up an action.
type CancelService interface {
	Cancel(ctx context.Context, actionID, comment string) (defender.MachineAction, error)
}

// CancelRecord is the side of the journal that cancelling needs. Every method that
// changes something returns only when it is on disk.
type CancelRecord interface {
	Info() journal.Info
	Entries() iter.Seq2[journal.Entry, error]
	Accept(machineID string, a journal.Action, o journal.Origin) error
	Settle(machineID string, a journal.Action) error
	Cancelling(machineID, reason string, token uint64) error
	CancelTaken(machineID string, a journal.Action) error
	Uncancelled(machineID string, f journal.Failure) error
	CancelDoubted(machineID string, f journal.Failure) error
}

// CancelConfig says what is cancelled, why, and by which means. All fields but
// Only and OnEvent are required.
type CancelConfig struct {
	Service   CancelService
	Record    CancelRecord
	Directory *Directory
	Reason    string        // a person's; it goes with every request
	Workers   int           // how many requests may be in flight
	RetryFor  time.Duration // how long an unreachable service is waited for
	// Only says which rows of the list are taken back. Nil: all.
	Only    func(row int) bool
	OnEvent func(Event) // called from several goroutines at once
}

// Canceller cancels a campaign's own actions that are not final. It is the undo of
// a campaign as far as there is one: what a device has carried out stays. Make it
// with [NewCanceller]; use it once, [Canceller.Survey] first.
type Canceller struct {
	c    CancelConfig
	name string
	gate *gate
	all  []*undo // in list order

	calls Limiter

	sent, throttled atomic.Int64
}

// NewCanceller returns a Canceller for a campaign that nobody else works on.
func NewCanceller(c CancelConfig) *Canceller {
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	return &Canceller{
		c: c, name: c.Record.Info().Name,
		gate: newGate(c.RetryFor, func() int { return 0 }),
	}
}

// CancelResult is what came of cancelling a machine's action.
type CancelResult string

// The results.
const (
	ToCancel        CancelResult = "to_cancel"       // not final when it was looked at; nothing was asked yet
	CancelDone      CancelResult = "cancelled"       // the action says Cancelled
	CancelOvertaken CancelResult = "cancelled_begun" // the same, but the device had begun on it before
	CancelTooLate   CancelResult = "too_late"        // the action ended otherwise, or is being carried out and stays
	CancelRefused   CancelResult = "refused"         // the service refused; the action stands
	CancelPending   CancelResult = "pending"         // asked for, and the action is not final
	CancelNotAsked  CancelResult = "not_asked"       // the command ended before
	CancelInDoubt   CancelResult = "in_doubt"        // no action is known of: it is not known whether there is one
	CancelNotOurs   CancelResult = "not_ours"        // not the campaign's own action; left alone
)

// CancelResults returns all results in their order.
func CancelResults() []CancelResult {
	return []CancelResult{
		ToCancel, CancelDone, CancelOvertaken, CancelTooLate, CancelRefused, CancelPending, CancelNotAsked, CancelInDoubt, CancelNotOurs,
	}
}

// Undone is a machine whose action was accepted or is in doubt, and what came of
// cancelling it.
type Undone struct {
	MachineID string           `json:"machine_id"`
	Name      string           `json:"name"`
	ActionID  string           `json:"action_id,omitempty"`
	Status    string           `json:"status,omitempty"` // of the action, as last seen
	Result    CancelResult     `json:"result"`
	Failure   *journal.Failure `json:"error,omitempty"` // of the request, if it failed
}

// undo is one machine on its way.
type undo struct {
	Undone
	row     int
	attempt int
	prior   []string
	created time.Time // of the action, by the service's clock; zero if not known

	seen    defender.MachineAction // by the latest look or answer
	begun   bool                   // the device was seen to be at it
	doubted bool                   // until a look found the action
	settled bool                   // in the journal
	unknown bool                   // whether the last request had an effect
}

// Survey says how the campaign's actions stand: which are to be cancelled, which
// have ended already, which are in doubt or not the campaign's own. It reads the
// action list in pages and changes nothing. The error is as that of
// [Follower.Follow].
func (c *Canceller) Survey(ctx context.Context) ([]Undone, error) {
	if err := c.collect(); err != nil {
		return nil, err
	}
	if err := c.look(ctx, c.all); err != nil {
		return nil, err
	}
	for _, u := range c.all {
		u.survey()
	}
	return c.results(), nil
}

func (c *Canceller) results() []Undone {
	all := make([]Undone, len(c.all))
	for i, u := range c.all {
		all[i] = u.Undone
	}
	return all
}

// collect takes the machines that are accepted or in doubt out of the journal.
func (c *Canceller) collect() error {
	for e, err := range c.c.Record.Entries() {
		if err != nil {
			return err
		}
		if c.c.Only != nil && !c.c.Only(e.Row) {
			continue
		}
		if u := undoOf(e); u != nil {
			c.all = append(c.all, u)
		}
	}
	slices.SortFunc(c.all, func(a, b *undo) int { return cmp.Compare(a.row, b.row) })
	return nil
}

// undoOf is the machine as the journal knows it, nil when there is nothing to
// cancel. Only what this campaign asked for itself is its own.
func undoOf(e journal.Entry) *undo {
	u := &undo{
		Undone: Undone{MachineID: e.MachineID, Name: e.Name, ActionID: e.ActionID},
		row:    e.Row, attempt: e.Attempts, prior: e.Prior,
	}
	own := e.SettledBy == ""
	switch e.State {
	case journal.Accepted:
		u.Result = CancelNotOurs
		if own && e.Origin == journal.Ours && e.ActionID != "" {
			u.Result = ToCancel
		}
	case journal.InDoubt, journal.Sending:
		u.Result, u.doubted = CancelNotOurs, own
		if own {
			u.Result = CancelInDoubt
		}
	default:
		return nil
	}
	var a defender.MachineAction
	if json.Unmarshal(e.Action, &a) == nil {
		u.Status, u.created, u.begun = a.Status, a.Created, a.Status == defender.StatusInProgress
	}
	return u
}

// look reads the action list, as far back as the oldest of these actions, and
// notes what it shows of them.
func (c *Canceller) look(ctx context.Context, undos []*undo) error {
	byMachine := map[string]*undo{}
	var since time.Time
	for _, u := range undos {
		if u.Result == CancelNotOurs {
			continue
		}
		if len(byMachine) == 0 || u.created.Before(since) {
			since = u.created
		}
		byMachine[u.MachineID] = u
	}
	if len(byMachine) == 0 {
		return nil
	}
	for a, err := range c.c.Directory.actions(ctx, defender.ActionFilter{Type: defender.TypeOffboard, CreatedSince: since}) {
		if err != nil {
			return err
		}
		if u := byMachine[a.MachineID]; u != nil && u.means(a, c.name) {
			u.see(a)
		}
	}
	return nil
}

// means says whether the action is the machine's own. A doubt has none yet: the
// attempt's mark tells.
func (u *undo) means(a defender.MachineAction, campaign string) bool {
	if !u.doubted {
		return a.ID == u.ActionID
	}
	seen, _ := sight([]defender.MachineAction{a}, Mark(campaign, u.attempt), u.prior)
	return seen == present
}

func (u *undo) see(a defender.MachineAction) {
	u.seen, u.ActionID, u.Status = a, a.ID, a.Status
	u.begun = u.begun || a.Status == defender.StatusInProgress
}

// survey judges the action before anything was asked.
func (u *undo) survey() {
	if u.Result == CancelInDoubt && u.seen.ID != "" {
		u.Result = ToCancel
	}
	if u.Result == ToCancel && u.seen.Final() {
		u.end()
	}
}

// end is the result of an action that is final.
func (u *undo) end() {
	switch {
	case stateOf(u.seen) != journal.Cancelled:
		u.Result = CancelTooLate
	case u.begun || u.seen.Cancelled.Sub(u.seen.LastUpdated) > clockGrain && !u.seen.LastUpdated.IsZero():
		u.Result = CancelOvertaken
	default:
		u.Result = CancelDone
	}
}

// clockGrain is how far apart two times of the service may lie that are meant to
// be one. An action that says Cancelled, and whose last update is older than its
// cancellation, was reported on by the device and not by the cancellation.
const clockGrain = time.Second

// CancelMark begins the comment of every cancellation, as [Mark] does that of the
// request which it takes back.
func CancelMark(campaign string, attempt int) string {
	return fmt.Sprintf("[offboard cancel %s/%d]", campaign, attempt)
}
