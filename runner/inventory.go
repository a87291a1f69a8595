package runner

import (
	"context"
	"errors"
	"fmt"

	"offboard/defender"
)

// ErrInventoryUnread is returned by [Directory.ReadInventory] when the tenant's
// machines may not be listed.
var ErrInventoryUnread = errors.New("the tenant's inventory cannot be listed")

// Inventory is what the tenant knows of its machines.
type Inventory struct {
	// Records has the machines that were asked for, by id. Pages slide while
	// they are read, so that one that is missing was not seen, no more.
	Records map[string]defender.Machine
	// Onboarded is how many machines of the tenant have a sensor.
	Onboarded int
}

// ReadInventory reads the whole inventory, 10,000 records a call, and keeps the
// records that are wanted. Without the permission to list it returns an error
// that is [ErrInventoryUnread].
func (d *Directory) ReadInventory(ctx context.Context, wanted func(defender.Machine) bool) (Inventory, error) {
	all := Inventory{Records: map[string]defender.Machine{}}
	for m, err := range d.machines(ctx, defender.MachineFilter{}) {
		if errors.Is(err, defender.ErrForbidden) {
			return all, fmt.Errorf("%w: %w", ErrInventoryUnread, err)
		}
		if err != nil {
			return all, fmt.Errorf("read the inventory: %w", err)
		}
		if m.OnboardingStatus == defender.Onboarded {
			all.Onboarded++
		}
		if wanted(m) {
			all.Records[m.ID] = m
		}
	}
	return all, nil
}
