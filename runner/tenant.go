package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"offboard/defender"
	"offboard/journal"
)

// ErrTenantUnread is returned by [Runner.ReadTenant] when the tenant's Offboard
// actions may not be listed.
var ErrTenantUnread = errors.New("the tenant's earlier Offboard actions cannot be listed")

// Adopter is the part of the journal that takes what was there before us.
type Adopter interface {
	Record
	Adopt(machineID string, a journal.Action) error
	Prior(known map[string][]string) error
}

// ReadTenant lists the tenant's Offboard actions and adopts for the campaign
// those that are under way or have succeeded: a journal knows nothing of what
// another host did. All of them, whatever became of them, are recorded as
// earlier than our attempts, so that none can ever settle one.
//
// It has to come before a campaign's first send. Without the permission to list
// it returns an error that is [ErrTenantUnread].
func (r *Runner) ReadTenant(ctx context.Context, a Adopter) error {
	planned, err := plannedIn(a)
	if err != nil {
		return err
	}
	count, live, prior := 0, map[string]defender.MachineAction{}, map[string][]string{}
	for action, err := range r.directory.actions(ctx, defender.ActionFilter{Type: defender.TypeOffboard}) {
		if errors.Is(err, defender.ErrForbidden) {
			return fmt.Errorf("%w: %w", ErrTenantUnread, err)
		}
		if err != nil {
			return err
		}
		count++
		if !planned[action.MachineID] || action.Type != defender.TypeOffboard {
			continue
		}
		prior[action.MachineID] = append(prior[action.MachineID], action.ID)
		if old, ok := live[action.MachineID]; standing(action) && (!ok || old.Created.Before(action.Created)) {
			live[action.MachineID] = action
		}
	}
	// If we crash between the two, the next run reads the tenant again.
	if err := a.Prior(prior); err != nil {
		return err
	}
	for machineID, action := range live {
		if err := a.Adopt(machineID, actionOf(action)); err != nil {
			return err
		}
	}
	r.emit(Event{Kind: EventTenantRead, Count: count, Adopted: len(live)})
	return nil
}

// standing says that an action is under way or has done its work.
func standing(a defender.MachineAction) bool {
	return !a.Final() || a.Status == defender.StatusSucceeded
}

func plannedIn(rec Record) (map[string]bool, error) {
	planned := map[string]bool{}
	for s, err := range rec.Standing() {
		if err != nil {
			return nil, err
		}
		if s.State == journal.Planned {
			planned[s.MachineID] = true
		}
	}
	return planned, nil
}

// isOurs says whether any attempt of the campaign asked for the action.
func isOurs(a defender.MachineAction, campaign string) bool {
	return strings.HasPrefix(a.RequestorComment, "[offboard "+campaign+"/")
}
