package main

import (
	"context"
	"errors"
	"time"

	"offboard/internal/failpoint"
	"offboard/journal"
	"offboard/runner"
)

// adopt takes over what other hosts did, before the first send of a campaign and
// of each new list. Where that is not allowed, a new journal needs somebody's word
// that there is nothing to adopt.
func (s *session) adopt(ctx context.Context, r *runner.Runner, c *journal.Campaign) error {
	counts, err := c.Counts()
	if err != nil || !c.Info().TenantRead.IsZero() || counts.Of(journal.Planned) == 0 {
		return err
	}
	err = r.Adopt(ctx, c)
	if errors.Is(err, runner.ErrTenantUnread) {
		return s.withoutTenant(c, err)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.TenantCompared)
	return c.Update(func(i *journal.Info) error { i.TenantRead = time.Now().UTC(); return nil })
}

// withoutTenant decides whether a campaign may go on without knowing what other
// hosts did, and remembers that it may.
func (s *session) withoutTenant(c *journal.Campaign, unread error) error {
	agreed, err := rulesOf(c.Info())
	if err != nil {
		return err
	}
	if agreed.NewJournal, err = s.mayGoUninformed(agreed); err != nil {
		return err
	}
	if !agreed.NewJournal {
		return uninformedError(unread)
	}
	s.app.log.Warn().Err(unread).Msg("going on without knowing what other hosts did")
	return changeRules(c, func(r *rules) { r.NewJournal = true })
}

func uninformedError(unread error) error {
	return &commandError{
		code: exitSignIn, err: unread,
		hint: "grant Machine.Read.All, or give --new-journal if no other host has offboarded machines of this tenant",
	}
}

// mayGoUninformed says whether a campaign under these rules may go on without
// knowing what other hosts did: somebody said so, or a campaign of the journal
// has compared itself with the tenant, or was allowed not to.
func (s *session) mayGoUninformed(r rules) (bool, error) {
	if r.NewJournal || s.f.newJournal {
		return true, nil
	}
	if s.journal == nil {
		return false, nil
	}
	all, err := s.journal.Campaigns()
	for _, info := range all {
		other, bad := rulesOf(info)
		if bad != nil {
			return false, bad
		}
		if other.NewJournal || !info.TenantRead.IsZero() {
			return true, nil
		}
	}
	return false, err
}
