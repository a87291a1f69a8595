package runner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"offboard/defender"
	"offboard/journal"
	"offboard/limiter"
)

// Service is what a campaign asks of the API. Each method is one request;
// errors are *[defender.Error] and say what the answer means.
type Service interface {
	Offboard(ctx context.Context, machineID, comment string) (defender.MachineAction, error)
	Lists
}

// Lists is the part of the API that only reads, a page a request.
type Lists interface {
	Actions(ctx context.Context, f defender.ActionFilter, p defender.Page) (defender.ActionPage, error)
	Machines(ctx context.Context, f defender.MachineFilter, p defender.Page) (defender.MachinePage, error)
}

// Record is the campaign's side of the journal. Every method returns only when
// what it says is on disk, and takes no context: an outcome is recorded even
// while the run is stopping. An error of Begin that is [journal.ErrSettled] or
// [journal.ErrInDoubt] means that the machine must not be sent, one of Accept that is
// [journal.ErrOtherAction] that the answer cannot be the attempt's; any other error
// stops the run.
type Record interface {
	Info() journal.Info
	Standing(states ...journal.State) iter.Seq2[journal.Standing, error]
	Entry(machineID string) (journal.Entry, error)
	Begin(machineID string, token uint64) (journal.Attempt, error)
	// AcceptAndBegin is Accept of one machine and Begin of the next, together.
	AcceptAndBegin(machineID string, a journal.Action, o journal.Origin, next string, token uint64) (_ journal.Attempt, accepted, begun error)
	Outcomes
}

// Outcomes ends an attempt, or settles it later.
type Outcomes interface {
	Accept(machineID string, a journal.Action, o journal.Origin) error
	Reject(machineID string, f journal.Failure) error
	Doubt(machineID string, f journal.Failure) error
	Release(machineID string, f journal.Failure) error
}

// Limiter gives out the right to make one call. Take waits for room in every
// quota and returns ctx's error when ctx is done first; TryTake does not wait and
// returns nil when there is none.
type Limiter interface {
	Take(ctx context.Context) (*limiter.Token, error)
	TryTake() *limiter.Token
}

// Config says how a campaign is carried out. Service, Record, Calls and
// ListCalls are required.
type Config struct {
	Service Service
	Record  Record
	// Calls is the quota of the offboard API, ListCalls that of the list APIs.
	Calls, ListCalls Limiter
	// Owner finds the record of another campaign of the same journal, whose
	// machine in doubt is on this campaign's list too. Nil: such machines
	// stay in doubt.
	Owner func(campaign string) (Record, error)
	// Workers is how many calls may be in flight. Default 8, at most 64.
	Workers int
	// SettleWait is how long after an attempt was given up (after a kill:
	// after the run began) its absence from the action list is believed.
	// There is an earlier look, at least a fifth of SettleWait before.
	// It has to exceed the longest late arrival (60 s) and the lag of the
	// list together. Default 5 min.
	SettleWait time.Duration
	// RetryFor is how long an unreachable service is waited for.
	// Default 30 min.
	RetryFor time.Duration
	// Budget bounds the run. Default: no bound.
	Budget Budget
	// Waves, if set, are sent one after the other. Default: all at once.
	Waves *Waves
	// OnEvent, if set, is called from several goroutines at once and must
	// return quickly.
	OnEvent func(Event)
}

// Defaults of [Config].
const (
	DefaultWorkers    = 8
	MaxWorkers        = 64
	DefaultSettleWait = 5 * time.Minute
	DefaultRetryFor   = 30 * time.Minute
)

// ErrConfig is returned by [New] for a configuration that cannot work.
var ErrConfig = errors.New("invalid runner configuration")

func (c *Config) validate() error {
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.SettleWait == 0 {
		c.SettleWait = DefaultSettleWait
	}
	if c.RetryFor == 0 {
		c.RetryFor = DefaultRetryFor
	}
	switch {
	case c.Service == nil, c.Record == nil, c.Calls == nil, c.ListCalls == nil:
		return fmt.Errorf("%w: Service, Record, Calls and ListCalls are required", ErrConfig)
	case c.Workers < 1, c.Workers > MaxWorkers:
		return fmt.Errorf("%w: Workers is %d, not 1 to %d", ErrConfig, c.Workers, MaxWorkers)
	case c.SettleWait < 0, c.RetryFor < 0:
		return fmt.Errorf("%w: a wait is negative", ErrConfig)
	}
	if err := errors.Join(c.Budget.validate(), c.Waves.validate()); err != nil {
		return err
	}
	return ValidateCampaignName(c.Record.Info().Name)
}
