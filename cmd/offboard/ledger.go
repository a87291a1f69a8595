package main

import (
	"time"

	"offboard/journal"
	"offboard/limiter"
)

// ledgerNote says that the quota ledger of a mark was on the disk with every call
// that the journal's log told of until then. Only what came later is then asked of
// the journal, which would otherwise read its last hours at every start.
type ledgerNote struct {
	Mark limiter.Mark  `json:"mark"`
	Log  journal.Chain `json:"log"`
}

// noteLedger is to be called when no request is under way any more. Nil: the ledger
// is not to be had, or not to be relied upon, and the journal will be asked.
func (s *session) noteLedger(log journal.Chain) *ledgerNote {
	if s.calls == nil {
		return nil
	}
	mark, err := s.calls.Sync()
	if err != nil || mark == (limiter.Mark{}) {
		return nil
	}
	return &ledgerNote{mark, log}
}

// accounted is the last state of the journal's log of which a ledger with the mark
// has every call.
func (s *session) accounted(m limiter.Mark) (journal.Chain, error) {
	var log journal.Chain
	all, err := s.journal.Campaigns()
	if err != nil {
		return log, err
	}
	for _, info := range all {
		n, err := notedLedger(info)
		if err != nil {
			return log, err
		}
		if n != nil && n.Mark.Precedes(m) && n.Log.Length > log.Length {
			log = n.Log
		}
	}
	return log, nil
}

func notedLedger(i journal.Info) (*ledgerNote, error) {
	last, err := lastRunOf(i)
	if last == nil {
		return nil, err
	}
	return last.Ledger, nil
}

// recentCalls is what the journal knows of the calls that may still count against
// the longest quota, and that a ledger with the mark may lack.
func (s *session) recentCalls(m limiter.Mark) ([]limiter.Call, error) {
	if s.journal == nil {
		return nil, nil
	}
	log, err := s.accounted(m)
	if err != nil {
		return nil, err
	}
	known, err := s.journal.Calls(time.Now().Add(-longestQuota), log)
	return limiterCalls(known), err
}

// longestQuota is how long a call may count, with room to spare.
const longestQuota = 2 * time.Hour

func limiterCalls(known []journal.Call) []limiter.Call {
	calls := make([]limiter.Call, len(known))
	for i, c := range known {
		calls[i] = limiter.Call{ID: c.Token, Sent: c.Sent, Answered: c.Answered}
	}
	return calls
}
