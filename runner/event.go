package runner

import (
	"time"

	"offboard/defender"
	"offboard/journal"
)

// EventKind says what an [Event] reports.
type EventKind string

// The kinds of event, with the fields that each fills beside Kind.
const (
	// EventOutcome: a machine's attempt ended. MachineID, Attempt, State,
	// ActionID, and Err when the answer was an error.
	EventOutcome EventKind = "outcome"
	// EventSkipped: a machine was not sent, since another campaign of this
	// journal got to it first. MachineID, Err.
	EventSkipped EventKind = "skipped"
	// EventThrottled: the service answered 429. MachineID unless a list was
	// asked for, Wait, Err.
	EventThrottled EventKind = "throttled"
	// EventPaused: all workers wait before one of them probes, or a list is
	// asked for again. Wait, Err.
	EventPaused EventKind = "paused"
	// EventLooked: the action list was asked about a machine in doubt and
	// did not settle it. MachineID, Attempt, Wait until the next look.
	EventLooked EventKind = "looked"
	// EventSettled: a machine in doubt was settled. MachineID, Attempt, State,
	// ActionID if there is one.
	EventSettled EventKind = "settled"
	// EventLeftInDoubt: looking came to its end without an answer, or is not
	// allowed. MachineID, Attempt, Err.
	EventLeftInDoubt EventKind = "left_in_doubt"
	// EventTenantRead: the tenant's Offboard actions were read before the
	// first send. Count of actions, Adopted.
	EventTenantRead EventKind = "tenant_read"
	// EventEnded: the action of an accepted machine has ended. MachineID,
	// State, ActionID.
	EventEnded EventKind = "ended"
	// EventFollowed: the action list was read and actions have not ended.
	// Count of these, Wait until the next look.
	EventFollowed EventKind = "followed"
	// EventCancelAnswered: a request to cancel a machine's action ended.
	// MachineID, ActionID, State, and Err when the answer was an error.
	EventCancelAnswered EventKind = "cancel_answered"
	// EventHeld: no request is begun until EventReleased.
	EventHeld EventKind = "held"
	// EventReleased: requests are begun again.
	EventReleased EventKind = "released"
	// EventWaveBegun, EventWaveEnded: the machines of a wave are sent; none is
	// left to send. Wave, Waves.
	EventWaveBegun EventKind = "wave_begun"
	EventWaveEnded EventKind = "wave_ended"
	// EventWaveWaiting: a wave is not begun yet. Wave, Waves, Wait until the
	// next look, Reason.
	EventWaveWaiting EventKind = "wave_waiting"
	// EventWaveReleased: a wave may begin. Wave, Waves, Reason.
	EventWaveReleased EventKind = "wave_released"
)

// Event is something worth telling an operator.
type Event struct {
	Kind      EventKind
	MachineID string
	Attempt   int
	State     journal.State
	ActionID  string
	Wait      time.Duration
	Count     int
	Adopted   int
	Err       error
	Wave      int // the first is 1
	Waves     int // of so many
	Reason    string
}

func (r *Runner) emit(e Event) {
	if r.c.OnEvent != nil {
		r.c.OnEvent(e)
	}
}

func failureOf(reason journal.Reason, err error) journal.Failure {
	f := journal.Failure{Reason: reason}
	if e, ok := asDefender(err); ok {
		f.HTTPStatus, f.Code, f.Message, f.Target = e.Status, e.Code, e.Message, e.Target
	}
	if f.Message == "" && err != nil {
		f.Message = err.Error()
	}
	return f
}

// stateOf is the state that a machine with this action is in.
func stateOf(a defender.MachineAction) journal.State {
	switch a.Status {
	case defender.StatusSucceeded:
		return journal.Succeeded
	case defender.StatusFailed:
		return journal.Failed
	case defender.StatusTimeOut:
		return journal.TimedOut
	case defender.StatusCancelled:
		return journal.Cancelled
	}
	return journal.Accepted
}

func actionOf(a defender.MachineAction) journal.Action {
	return journal.Action{ID: a.ID, Status: a.Status, Raw: a.Raw}
}
