package runner

import (
	"context"
	"errors"
	"fmt"

	"offboard/defender"
	"offboard/internal/failpoint"
	"offboard/journal"
)

// ErrTenantUnread is returned by [Directory.ReadTenant] and [Runner.Adopt] when the tenant's Offboard
// actions may not be listed.
var ErrTenantUnread = errors.New("the tenant's earlier Offboard actions cannot be listed")

// Tenant is what a tenant's action list says of machines.
type Tenant struct {
	// Actions is how many Offboard actions the tenant has, of whatever
	// machine.
	Actions int
	// Standing has, by machine, the newest Offboard action that is under way
	// or has succeeded.
	Standing map[string]defender.MachineAction
	// Known has the ids of all Offboard actions, by machine.
	Known map[string][]string
}

// ReadTenant lists the tenant's Offboard actions and keeps those of the machines
// that are wanted. Without the permission to list it returns an error that is
// [ErrTenantUnread].
func (d *Directory) ReadTenant(ctx context.Context, wanted func(machineID string) bool) (Tenant, error) {
	t := Tenant{Standing: map[string]defender.MachineAction{}, Known: map[string][]string{}}
	for a, err := range d.actions(ctx, defender.ActionFilter{Type: defender.TypeOffboard}) {
		if errors.Is(err, defender.ErrForbidden) {
			return t, fmt.Errorf("%w: %w", ErrTenantUnread, err)
		}
		if err != nil {
			return t, err
		}
		t.Actions++
		if a.Type != defender.TypeOffboard || !wanted(a.MachineID) {
			continue
		}
		t.Known[a.MachineID] = append(t.Known[a.MachineID], a.ID)
		if old, ok := t.Standing[a.MachineID]; standing(a) && (!ok || old.Created.Before(a.Created)) {
			t.Standing[a.MachineID] = a
		}
	}
	return t, nil
}

// standing says that an action is under way or has done its work.
func standing(a defender.MachineAction) bool {
	return !a.Final() || a.Status == defender.StatusSucceeded
}

// Adopter is the part of the journal that takes what was there before us.
type Adopter interface {
	Record
	Adopt(machineID string, a journal.Action) error
	Prior(known map[string][]string) error
}

// Adopt reads the tenant and adopts for the campaign's planned machines the
// actions that stand: a journal knows nothing of what another host did. All
// others, whatever became of them, are recorded as earlier than our attempts, so
// that none can ever settle one.
//
// It has to come before a campaign's first send, and again when machines have
// been added. Without the permission to list it returns an error that is
// [ErrTenantUnread].
func (r *Runner) Adopt(ctx context.Context, a Adopter) error {
	planned, err := plannedIn(a)
	if err != nil {
		return err
	}
	tenant, err := r.directory.ReadTenant(ctx, func(id string) bool { return planned[id] })
	if err != nil {
		return err
	}
	// If we crash between the two, the next run reads the tenant again.
	if err := a.Prior(tenant.Known); err != nil {
		return err
	}
	failpoint.Hit(failpoint.PriorNoted)
	for machineID, action := range tenant.Standing {
		if err := a.Adopt(machineID, actionOf(action)); err != nil {
			return err
		}
		failpoint.Hit(failpoint.ActionAdopted)
	}
	r.emit(Event{Kind: EventTenantRead, Count: tenant.Actions, Adopted: len(tenant.Standing)})
	return nil
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
