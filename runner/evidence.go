package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// doubt is one attempt whose outcome is unknown.
type doubt struct {
	owner     Outcomes
	campaign  string // of the attempt
	machineID string
	attempt   int
	prior     []string // actions that existed before the attempt
	// active says that the service spoke of an action under way that it
	// does not list. Absence would contradict it and settles nothing.
	active bool
	sent   time.Time // the attempt began

	since     time.Time // the attempt was given up, or the run began
	due       time.Time // of the next look
	firstLook time.Time // that showed nothing
	witness   *witness
}

func (d *doubt) mark() string { return Mark(d.campaign, d.attempt) }

// witness is an action of ours. A list that does not show it is older than it.
type witness struct {
	machineID string
	actionID  string
	sent      time.Time // its attempt began
}

// doubtOf makes the doubt of a machine that the journal says is in doubt; nil
// when that is another campaign's and cannot be settled here.
func (r *Runner) doubtOf(st journal.Standing) (*doubt, error) {
	owner, campaign := r.c.Record, r.name
	if st.SettledBy != "" {
		if r.c.Owner == nil {
			return nil, nil //nolint:nilnil // it stays in doubt, as Config says
		}
		var err error
		if owner, err = r.c.Owner(st.SettledBy); err != nil {
			return nil, fmt.Errorf("the campaign %q that left a machine in doubt: %w", st.SettledBy, err)
		}
		campaign = st.SettledBy
	}
	entry, err := owner.Entry(st.MachineID)
	if err != nil {
		return nil, err
	}
	return &doubt{
		owner: owner, campaign: campaign, machineID: st.MachineID,
		attempt: entry.Attempts, prior: entry.Prior, sent: entry.Sent,
		active: entry.Failure != nil && entry.Failure.Code == defender.CodeActiveRequestAlreadyExists,
	}, nil
}

// evidence is what a look at the action list found.
type evidence struct {
	sighting
	action defender.MachineAction
	origin journal.Origin
}

// ask reads the list. The witness comes first: what the list shows after it has
// shown the witness is at least as new.
func (s *settler) ask(ctx context.Context, d *doubt) (evidence, error) {
	current, err := s.current(ctx, d)
	if err != nil {
		return evidence{}, err
	}
	asked := time.Now()
	actions, err := s.r.directory.offboards(ctx, d.machineID)
	if err != nil {
		return evidence{}, err
	}
	found := d.weigh(actions)
	if found.sighting != absent {
		return found, nil
	}
	if d.active || !current || !s.believable(d, asked) {
		found.sighting = unclear
	}
	if current && d.firstLook.IsZero() {
		d.firstLook = time.Now()
	}
	return found, nil
}

// weigh says what a machine's actions tell of the doubt. An action with another
// mark proves nothing about the attempt, but one that stands does what the
// attempt was for, so there is nothing left to send.
func (d *doubt) weigh(actions []defender.MachineAction) evidence {
	found := absent
	if !d.active {
		var action defender.MachineAction
		if found, action = sight(actions, d.mark(), d.prior); found == present {
			return evidence{present, action, journal.Ours}
		}
	}
	for _, a := range actions {
		if a.Type != defender.TypeOffboard || !standing(a) || slices.Contains(d.prior, a.ID) {
			continue
		}
		if isOurs(a, d.campaign) {
			return evidence{present, a, journal.Ours}
		}
		return evidence{present, a, journal.Adopted}
	}
	return evidence{sighting: found}
}

// current says whether the list shows our newest action from after the attempt,
// where there is one.
func (s *settler) current(ctx context.Context, d *doubt) (bool, error) {
	s.mu.Lock()
	if w := s.newest; d.witness == nil && w.sent.After(d.sent) && time.Since(d.since) >= s.share(3) {
		d.witness = &w
	}
	s.mu.Unlock()
	if d.witness == nil {
		return true, nil
	}
	actions, err := s.r.directory.offboards(ctx, d.witness.machineID)
	return slices.ContainsFunc(actions, func(a defender.MachineAction) bool { return a.ID == d.witness.actionID }), err
}

// share is n fifths of SettleWait.
func (s *settler) share(n int) time.Duration { return time.Duration(n) * s.wait / 5 }

// believable says whether a look that was asked for at that moment and shows
// nothing proves that nothing arrived: it is the second, far enough from the
// first, and late enough.
func (s *settler) believable(d *doubt, asked time.Time) bool {
	return asked.Sub(d.since) >= s.wait && !d.firstLook.IsZero() && asked.Sub(d.firstLook) >= s.share(1)
}
