package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"offboard/defender"
	"offboard/input"
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
	// Active has, by machine, the newest Offboard action that is under way.
	Active map[string]defender.MachineAction
	// Ended has the ids of those Offboard actions, by machine, that are over.
	Ended map[string][]string
	// Known has the ids of all Offboard actions, by machine.
	Known map[string][]string
}

// ReadTenant lists the tenant's Offboard actions and keeps those of the machines
// that are wanted. Without the permission to list it returns an error that is
// [ErrTenantUnread].
func (d *Directory) ReadTenant(ctx context.Context, wanted func(machineID string) bool) (Tenant, error) {
	t := Tenant{
		Standing: map[string]defender.MachineAction{}, Active: map[string]defender.MachineAction{},
		Ended: map[string][]string{}, Known: map[string][]string{},
	}
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
		t.take(a)
	}
	return t, nil
}

func (t *Tenant) take(a defender.MachineAction) {
	t.Known[a.MachineID] = append(t.Known[a.MachineID], a.ID)
	if a.Final() {
		t.Ended[a.MachineID] = append(t.Ended[a.MachineID], a.ID)
	} else if old, ok := t.Active[a.MachineID]; !ok || old.Created.Before(a.Created) {
		t.Active[a.MachineID] = a
	}
	if old, ok := t.Standing[a.MachineID]; standing(a) && (!ok || old.Created.Before(a.Created)) {
		t.Standing[a.MachineID] = a
	}
}

// Adoptable returns the action that leaves nothing to send for a machine: one that is
// under way, or one that has succeeded, unless a person has had the machine sent again
// since.
func (t *Tenant) Adoptable(machineID string, past []string) (defender.MachineAction, bool) {
	if a, ok := t.Active[machineID]; ok {
		return a, true
	}
	a, ok := t.Standing[machineID]
	return a, ok && !slices.Contains(past, a.ID)
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
// actions that stand: a journal knows nothing of what another host did. What had
// succeeded when a person had the machine sent again is past. All others, whatever
// became of them, are recorded as earlier than our attempts, so that none can ever
// settle one.
//
// It has to come before a campaign's first send, and again when machines have
// been added. Without the permission to list it returns an error that is
// [ErrTenantUnread].
func (r *Runner) Adopt(ctx context.Context, a Adopter) error {
	planned, past, err := plannedIn(a)
	if err != nil {
		return err
	}
	tenant, err := r.directory.ReadTenant(ctx, planned.Has)
	if err != nil {
		return err
	}
	// If we crash between the two, the next run reads the tenant again.
	if err := a.Prior(tenant.Known); err != nil {
		return err
	}
	failpoint.Hit(failpoint.PriorNoted)
	adopted := 0
	for machineID := range tenant.Standing {
		action, ok := tenant.Adoptable(machineID, past[machineID])
		if !ok {
			continue
		}
		if err := a.Adopt(machineID, actionOf(action)); err != nil {
			return err
		}
		adopted++
		failpoint.Hit(failpoint.ActionAdopted)
	}
	r.emit(Event{Kind: EventTenantRead, Count: tenant.Actions, Adopted: adopted})
	return nil
}

// plannedIn returns the planned machines, and the actions that are past for those of
// them that a person has had sent again.
func plannedIn(rec Record) (*input.IDs, map[string][]string, error) {
	var planned input.IDs
	past := map[string][]string{}
	for s, err := range rec.Standing(journal.Planned) {
		if err != nil {
			return nil, nil, err
		}
		planned.Add(s.MachineID)
		if s.Authorised == 0 {
			continue
		}
		e, err := rec.Entry(s.MachineID)
		if err != nil {
			return nil, nil, err
		}
		past[s.MachineID] = e.Past
	}
	return &planned, past, nil
}
