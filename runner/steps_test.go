package runner_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"offboard/defender"
	"offboard/internal/simulator"
	"offboard/journal"
)

// kind is what a step is: everything that leaves a mark outside the process.
type kind string

const (
	write  kind = "write"   // to the journal
	send   kind = "send"    // an offboard request
	look   kind = "look"    // a request for the action list
	signIn kind = "sign in" // a token is got
)

// form is how a step fails.
type form string

const (
	notApplied   form = "not applied"
	answerLost   form = "applied, answer lost"
	minuteLate   form = "applied a minute late, answer lost"
	throttled    form = "429"
	forbidden    form = "403"
	tokenRefused form = "401"
	unreachable  form = "unreachable"
	stale        form = "expired token"
	interrupted  form = "interrupted" // the step is carried out, and the process told to stop
)

// forms are the ways in which a step of each kind can fail.
var forms = map[kind][]form{
	write:  {notApplied, answerLost, interrupted},
	send:   {notApplied, answerLost, minuteLate, throttled, forbidden, tokenRefused, interrupted},
	look:   {notApplied, answerLost, throttled, forbidden, tokenRefused, interrupted},
	signIn: {notApplied, unreachable, stale, interrupted},
}

// step counts a step and says how it fails; "" if it does not.
func (tr *trial) step(k kind) form {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	f := tr.fail(len(tr.steps), k)
	tr.steps = append(tr.steps, k)
	if f != "" {
		tr.injected++
	}
	if f == interrupted {
		tr.stop()
		return ""
	}
	return f
}

var errDisk = fmt.Errorf("%w: input/output error", journal.ErrStopped)

// write makes a change to the journal. After one that failed, applied or not, the
// journal takes no other until it is opened anew.
func (tr *trial) write(change func() error) error {
	tr.mu.Lock()
	broken := tr.broken
	tr.mu.Unlock()
	if broken {
		return errDisk
	}
	f := tr.step(write)
	var err error
	if f != notApplied {
		err = change()
	}
	if f == "" {
		return err
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.broken = true
	return errDisk
}

// recorder is the campaign's side of a journal whose writes are steps.
type recorder struct {
	*journal.Campaign
	trial *trial
}

func (r *recorder) Begin(machineID string, token uint64) (a journal.Attempt, err error) {
	err = r.trial.write(func() (err error) { a, err = r.Campaign.Begin(machineID, token); return err })
	r.trial.mu.Lock()
	defer r.trial.mu.Unlock()
	r.trial.begun[machineID] = err == nil
	return a, err
}

func (r *recorder) Accept(machineID string, a journal.Action, o journal.Origin) error {
	return r.trial.write(func() error { return r.Campaign.Accept(machineID, a, o) })
}

func (r *recorder) AcceptAndBegin(machineID string, a journal.Action, o journal.Origin, next string, token uint64) (b journal.Attempt, accepted, begun error) {
	err := r.trial.write(func() error {
		b, accepted, begun = r.Campaign.AcceptAndBegin(machineID, a, o, next, token)
		return nil
	})
	if err != nil {
		accepted, begun = err, err
	}
	r.trial.mu.Lock()
	defer r.trial.mu.Unlock()
	r.trial.begun[next] = begun == nil
	return b, accepted, begun
}

func (r *recorder) Reject(machineID string, f journal.Failure) error {
	return r.trial.write(func() error { return r.Campaign.Reject(machineID, f) })
}

func (r *recorder) Doubt(machineID string, f journal.Failure) error {
	return r.trial.write(func() error { return r.Campaign.Doubt(machineID, f) })
}

func (r *recorder) Release(machineID string, f journal.Failure) error {
	return r.trial.write(func() error { return r.Campaign.Release(machineID, f) })
}

func (r *recorder) Adopt(machineID string, a journal.Action) error {
	return r.trial.write(func() error { return r.Campaign.Adopt(machineID, a) })
}

func (r *recorder) Settle(machineID string, a journal.Action) error {
	return r.trial.write(func() error { return r.Campaign.Settle(machineID, a) })
}

func (r *recorder) Prior(known map[string][]string) error {
	return r.trial.write(func() error { return r.Campaign.Prior(known) })
}

// desk is where a process signs in.
type desk struct {
	trial *trial

	mu    sync.Mutex
	token string
}

func (d *desk) Token(context.Context) (defender.AccessToken, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.token != "" {
		return defender.AccessToken{Value: d.token}, nil
	}
	var life time.Duration // the default
	switch d.trial.step(signIn) {
	case notApplied:
		return defender.AccessToken{}, errors.New("the secret has expired")
	case unreachable:
		return defender.AccessToken{}, &defender.Error{Op: "sign in", Meaning: defender.NotApplied, Err: defender.ErrUnreachable}
	case stale:
		life = -time.Hour
	default:
	}
	d.token = d.trial.sim.IssueToken(simulator.TokenOptions{Life: life})
	return defender.AccessToken{Value: d.token}, nil
}

func (d *desk) Refuse(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.token == token {
		d.token = ""
	}
}
