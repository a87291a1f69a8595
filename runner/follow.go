package runner

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"offboard/defender"
	"offboard/journal"
)

// Followed is the side of the journal that following needs.
type Followed interface {
	Entries() iter.Seq2[journal.Entry, error]
	Settle(machineID string, a journal.Action) error
}

// Follower brings accepted machines to their end. Accepted is not offboarded:
// the service keeps the action until the device is next online. Make it with
// [NewFollower].
type Follower struct {
	directory *Directory
	owner     func(campaign string) (Followed, error)
	onEvent   func(Event)
}

// NewFollower returns a Follower that reads the tenant through d. The machines
// of a campaign that another one has sent are settled in that one's record,
// which owner finds. onEvent is told of every action that ends and of every
// look.
func NewFollower(d *Directory, owner func(campaign string) (Followed, error), onEvent func(Event)) *Follower {
	return &Follower{directory: d, owner: owner, onEvent: onEvent}
}

// Waiting is an accepted machine whose action has not ended.
type Waiting struct {
	MachineID string
	Name      string // as the list has it
	ActionID  string // "" when a person's verdict is all that is known
	Status    string // of the action, as last seen
	Accepted  time.Time
	// Unlisted says that the action list, read whole, no longer shows the
	// action. What became of it is not known.
	Unlisted bool
	// LastSeen is when the inventory last saw the device; zero if it does not
	// show the machine, or may not be read. A device that is off carries the
	// action out when it wakes.
	LastSeen time.Time
}

// listLag is how long a new action may be missing from the list without
// counting as unlisted.
const listLag = DefaultSettleWait

// Looks come at a tenth of the youngest action's age, within these bounds: what
// has waited for a day is not asked about every minute.
const (
	shortestLook = 30 * time.Second
	longestLook  = time.Hour
)

// Forever is a bound that [Follower.Follow] never reaches.
const Forever = time.Duration(-1)

// Follow looks at the tenant's action list until every action of the campaign
// has ended or the bound is over, and returns the machines that still wait, in
// list order. A bound of 0 means a single look. It reads the list in pages of
// 10,000, however many machines there are.
//
// The error is ctx's after a stop, [ErrUnreachable], a *[defender.Error] where
// listing is refused, or the journal's. What had ended until then is recorded.
func (f *Follower) Follow(ctx context.Context, c Followed, bound time.Duration) ([]Waiting, error) {
	began := time.Now()
	orders, err := f.orders(c)
	if err != nil {
		return nil, err
	}
	for len(orders) > 0 {
		if orders, err = f.look(ctx, orders); err != nil {
			return waitingOf(orders), err
		}
		pause := nextRound(orders)
		if bound >= 0 {
			pause = min(pause, bound-time.Since(began))
		}
		if pause <= 0 {
			break
		}
		f.emit(Event{Kind: EventFollowed, Count: len(orders), Wait: pause})
		if err := sleep(ctx, pause); err != nil {
			return waitingOf(orders), err
		}
	}
	err = f.lastSeen(ctx, orders)
	return waitingOf(orders), err
}

func (f *Follower) emit(e Event) {
	if f.onEvent != nil {
		f.onEvent(e)
	}
}

// order is an accepted machine and the record to settle it in.
type order struct {
	Waiting
	record  Followed
	row     int
	prior   []string  // actions that are older than the accepted one
	created time.Time // by the service's clock; zero if not known

	found defender.MachineAction // by this look
}

// orders are the campaign's accepted machines, in list order.
func (f *Follower) orders(c Followed) ([]*order, error) {
	var all []*order
	for e, err := range c.Entries() {
		if err != nil {
			return nil, err
		}
		if e.State != journal.Accepted {
			continue
		}
		o := &order{
			Waiting: Waiting{MachineID: e.MachineID, Name: e.Name, ActionID: e.ActionID, Accepted: e.Updated},
			record:  c, row: e.Row, prior: e.Prior,
		}
		if e.SettledBy != "" {
			if o.record, err = f.owner(e.SettledBy); err != nil {
				return nil, err
			}
		}
		var a defender.MachineAction
		if json.Unmarshal(e.Action, &a) == nil {
			o.Status, o.created = a.Status, a.Created
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *order) int { return a.row - b.row })
	return all, nil
}

// look reads the list once and settles what has ended. It returns the others.
func (f *Follower) look(ctx context.Context, orders []*order) ([]*order, error) {
	byMachine := make(map[string]*order, len(orders))
	for _, o := range orders {
		o.found = defender.MachineAction{}
		byMachine[o.MachineID] = o
	}
	filter := defender.ActionFilter{Type: defender.TypeOffboard, CreatedSince: oldest(orders)}
	for a, err := range f.directory.actions(ctx, filter) {
		if err != nil {
			return orders, err
		}
		if o := byMachine[a.MachineID]; o != nil && o.means(a) {
			o.found = a
		}
	}
	for _, o := range orders {
		if err := f.settle(o); err != nil {
			return orders, err
		}
	}
	return slices.DeleteFunc(orders, func(o *order) bool { return o.found.Final() }), nil
}

// means says whether the action is the one that the machine was accepted with.
// A verdict names none: it is the newest that is no older than the attempt.
func (o *order) means(a defender.MachineAction) bool {
	if o.ActionID != "" {
		return a.ID == o.ActionID
	}
	return !slices.Contains(o.prior, a.ID) && !a.Created.Before(o.found.Created)
}

// settle records the end of an action, if the look has found it ended.
func (f *Follower) settle(o *order) error {
	o.Unlisted = o.found.ID == "" && time.Since(o.Accepted) >= listLag
	if o.found.ID != "" {
		o.Status = o.found.Status
	}
	if !o.found.Final() {
		return nil
	}
	if err := o.record.Settle(o.MachineID, actionOf(o.found)); err != nil {
		return err
	}
	f.emit(Event{Kind: EventEnded, MachineID: o.MachineID, State: stateOf(o.found), ActionID: o.found.ID})
	return nil
}

// oldest is the creation time of the oldest action by the service's own clock,
// so that a list of years is not read for the last week. It is zero, and the
// list is read whole, where one of them is not known.
func oldest(orders []*order) time.Time {
	first := orders[0].created
	for _, o := range orders {
		if o.created.Before(first) {
			first = o.created
		}
	}
	return first
}

// nextRound is the pause before the next look, 0 when there is none.
func nextRound(orders []*order) time.Duration {
	if len(orders) == 0 {
		return 0
	}
	youngest := slices.MaxFunc(orders, func(a, b *order) int { return a.Accepted.Compare(b.Accepted) })
	return min(max(time.Since(youngest.Accepted)/10, shortestLook), longestLook)
}

// lastSeen asks the inventory when the devices that are waited for were last
// seen. Without the permission it stays unknown.
func (f *Follower) lastSeen(ctx context.Context, orders []*order) error {
	if len(orders) == 0 {
		return nil
	}
	wanted := make(map[string]bool, len(orders))
	for _, o := range orders {
		wanted[o.MachineID] = true
	}
	inventory, err := f.directory.ReadInventory(ctx, func(m defender.Machine) bool { return wanted[m.ID] })
	if errors.Is(err, ErrInventoryUnread) {
		return nil
	}
	for _, o := range orders {
		o.LastSeen = inventory.Records[o.MachineID].LastSeen
	}
	return err
}

func waitingOf(orders []*order) []Waiting {
	all := make([]Waiting, 0, len(orders))
	for _, o := range orders {
		all = append(all, o.Waiting)
	}
	return all
}
