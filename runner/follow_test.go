package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"offboard/defender"
	"offboard/journal"
	"offboard/runner"
)

// follow follows the bench's campaign.
func (b *bench) follow(ctx context.Context, bound time.Duration) ([]runner.Waiting, error) {
	b.t.Helper()
	d := runner.NewDirectory(b.service, newLimiter(b.t), runner.DefaultRetryFor, b.event)
	f := runner.NewFollower(d, func(name string) (runner.Followed, error) { return b.journal.Campaign(name) }, b.event)
	return f.Follow(ctx, b.campaign, bound)
}

// accept has machines of the campaign accepted with a pending action each.
func (b *bench) accept(machines ...int) {
	b.t.Helper()
	for _, n := range machines {
		if _, err := b.campaign.Begin(id(n), 1); err != nil {
			b.t.Fatal(err)
		}
		a := b.service.add(id(n), runner.Mark("c", 1), defender.StatusPending)
		if err := b.campaign.Accept(id(n), journal.Action{ID: a.ID, Status: a.Status, Raw: a.Raw}, journal.Ours); err != nil {
			b.t.Fatal(err)
		}
	}
}

// becomes gives a machine's newest action another status after a while.
func (s *tenant) becomes(machine int, status string, after time.Duration) {
	time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range slices.Backward(s.actions) {
			if s.actions[i].MachineID == id(machine) {
				s.actions[i].Status = status
				return
			}
		}
	})
}

func TestFollowToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 6)
		defer b.close()
		b.accept(0, 1, 2, 3, 4)
		b.service.becomes(0, defender.StatusSucceeded, time.Minute)
		b.service.becomes(1, defender.StatusFailed, time.Hour)
		b.service.becomes(2, defender.StatusCancelled, 30*time.Hour)
		b.service.becomes(3, defender.StatusTimeOut, 72*time.Hour)
		b.service.becomes(4, defender.StatusInProgress, time.Hour)
		b.service.becomes(4, defender.StatusSucceeded, 71*time.Hour)
		began := time.Now()
		waiting, err := b.follow(t.Context(), runner.Forever)
		if err != nil || len(waiting) != 0 {
			t.Errorf("%v, %v", waiting, err)
		}
		b.want("planned 1, succeeded 2, failed 1, timed_out 1, cancelled 1")
		if took := time.Since(began); took < 72*time.Hour || took > 73*time.Hour {
			t.Errorf("took %s", took)
		}
		// Looks come at a tenth of the age, then hourly.
		if b.service.looks > 150 {
			t.Errorf("%d calls in three days", b.service.looks)
		}
		if n := b.kinds(); n[runner.EventEnded] != 5 || n[runner.EventFollowed] == 0 {
			t.Errorf("events: %v", n)
		}
	})
}

// TestFollowWaits: what has not ended when the bound is over is told apart.
func TestFollowWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 4)
		defer b.close()
		b.accept(0, 1, 2, 3)
		seen := time.Now().Add(-240 * time.Hour)
		b.service.machines = []defender.Machine{{ID: id(0), LastSeen: seen}, {ID: id(1), LastSeen: time.Now()}}
		b.service.actions = slices.Delete(b.service.actions, 3, 4)

		waiting, err := b.follow(t.Context(), 0)
		if err != nil || len(waiting) != 4 || b.service.looks != 1 {
			t.Fatalf("a single look: %v, %v, %d looks", waiting, err, b.service.looks)
		}
		if waiting[3].Unlisted {
			t.Error("an action that is seconds old counts as unlisted")
		}
		b.service.becomes(2, defender.StatusSucceeded, 5*time.Minute)
		began := time.Now()
		waiting, err = b.follow(t.Context(), 10*time.Minute)
		if took := time.Since(began); err != nil || took != 10*time.Minute {
			t.Errorf("bounded to ten minutes it took %s, %v", took, err)
		}
		if len(waiting) != 3 {
			t.Fatalf("waiting: %+v", waiting)
		}
		if w := waiting[0]; w.MachineID != id(0) || w.Name != "pc0" || !w.LastSeen.Equal(seen) || w.Unlisted || w.Status != defender.StatusPending {
			t.Errorf("the device that is off: %+v", w)
		}
		if w := waiting[2]; w.MachineID != id(3) || !w.Unlisted || !w.LastSeen.IsZero() {
			t.Errorf("the action that has vanished: %+v", w)
		}
		b.want("accepted 3, succeeded 1")
	})
}

// TestFollowVerdict: of a machine that a person says was accepted no action is
// known; an action that is older than the attempt is not it.
func TestFollowVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 1)
		defer b.close()
		old := b.service.add(id(0), "last year", defender.StatusFailed)
		if err := b.campaign.Prior(map[string][]string{id(0): {old.ID}}); err != nil {
			t.Fatal(err)
		}
		_, err := b.campaign.Begin(id(0), 1)
		if err == nil {
			err = b.campaign.Doubt(id(0), journal.Failure{Reason: journal.ReasonUnknown})
		}
		if err == nil {
			err = b.campaign.Verdict(id(0), true, "seen in the portal", "me")
		}
		if err != nil {
			t.Fatal(err)
		}
		if waiting, err := b.follow(t.Context(), 0); err != nil || len(waiting) != 1 {
			t.Fatalf("%v, %v", waiting, err)
		}
		b.service.add(id(0), runner.Mark("c", 1), defender.StatusSucceeded)
		if waiting, err := b.follow(t.Context(), 0); err != nil || len(waiting) != 0 {
			t.Fatalf("%v, %v", waiting, err)
		}
		b.want("succeeded 1")
	})
}

// TestFollowAnotherCampaigns: a machine that another campaign has sent is settled
// in that one's record.
func TestFollowAnotherCampaigns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 2)
		defer b.close()
		b.accept(0)
		second, err := b.journal.StartCampaign(journal.Info{Name: "d", Comment: "why"})
		if err == nil {
			_, err = second.Enlist(journal.Enlistment{Machines: ids(1)})
		}
		if err != nil {
			t.Fatal(err)
		}
		first := b.campaign
		b.campaign = second
		b.service.becomes(0, defender.StatusSucceeded, time.Minute)
		if waiting, err := b.follow(t.Context(), runner.Forever); err != nil || len(waiting) != 0 {
			t.Fatalf("%v, %v", waiting, err)
		}
		b.want("succeeded 1")
		b.campaign = first
		b.want("planned 1, succeeded 1")
	})
}

// TestFollowCalls: a look is a few calls however many machines there are.
func TestFollowCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const machines = 10_000
		b := setup(t, 0)
		defer b.close()
		list := slices.Collect(ids(machines))
		slices.Reverse(list)
		if _, err := b.campaign.Enlist(journal.Enlistment{Machines: slices.Values(list)}); err != nil {
			t.Fatal(err)
		}
		for n := range machines {
			b.service.add(id(n), "somebody's", defender.StatusPending)
		}
		b.adoptAll()
		waiting, err := b.follow(t.Context(), 0)
		if calls := b.service.looks; err != nil || len(waiting) != machines || calls > 3 {
			t.Errorf("%d machines are waited for after %d calls, %v", len(waiting), calls, err)
		}
		for i, w := range waiting {
			if w.MachineID != list[i].ID {
				t.Fatalf("place %d of the list has %s, not %s", i+1, w.MachineID, list[i].ID)
			}
		}
	})
}

// adoptAll adopts what stands in the tenant, many at a time.
func (b *bench) adoptAll() {
	b.t.Helper()
	var group errgroup.Group
	group.SetLimit(256)
	for _, a := range b.service.actions {
		group.Go(func() error {
			return b.campaign.Adopt(a.MachineID, journal.Action{ID: a.ID, Status: a.Status, Raw: a.Raw})
		})
	}
	if err := group.Wait(); err != nil {
		b.t.Fatal(err)
	}
}

func TestFollowStops(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		listErr error
		want    error
	}{
		"forbidden":   {errForbidden, defender.ErrForbidden},
		"unreachable": {errUnreachable, runner.ErrUnreachable},
		"stopped":     {nil, context.DeadlineExceeded},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, 1)
				defer b.close()
				b.accept(0)
				b.service.listErr = func() error { return c.listErr }
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if waiting, err := b.follow(ctx, runner.Forever); !errors.Is(err, c.want) || len(waiting) != 1 {
					t.Errorf("%v, %v", waiting, fmt.Sprint(err))
				}
				b.want("accepted 1")
			})
		})
	}
}
