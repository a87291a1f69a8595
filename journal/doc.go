// Package journal is the memory of an offboarding: which machine was asked for,
// when, by which campaign, and what became of it. It is what makes a run
// killable at any instant and what keeps a machine from being sent twice.
//
// [Open] gives the [Journal] of one tenant, a single bbolt file. A [Campaign],
// from [Journal.StartCampaign] or [Journal.Campaign], is the type to reach for
// next: [Campaign.Enlist] gives it its machines, then every attempt is a
// [Campaign.Begin] followed by exactly one of Accept, Reject, Doubt or Release. To
// take one back is a [Campaign.Cancelling] followed by CancelTaken, Uncancelled or
// CancelDoubted, with the machine accepted until its action has ended.
//
// # Promises
//
// A method that changes something returns only once the change is on disk
// (fsync). Many goroutines calling at once share one fsync.
//
// Begin decides at-most-once in the same transaction that records the intent:
// it refuses a machine of which any campaign of the journal holds a record
// that is sending, in doubt, accepted or succeeded. So at any time at most one
// record of a machine is live. Only a person's word, [Campaign.Authorise], lets one
// campaign go past what has ended, a success included; nothing goes past what has not.
//
// A process that dies leaves at most records in the state sending; [Journal.Recover]
// turns them into doubts, which only evidence or a person's verdict settles.
//
// Every record and event carries a checksum, and the event log replays to the
// records and to what is counted of them: see [Journal.Check]. The log is a hash chain whose length and head,
// [Journal.Chain], noted elsewhere, find out a log that was shortened or written
// anew; an export can be verified without the journal. Damage is reported as [ErrDamaged] wherever it
// is met, never read as another state. [Salvage] makes a new journal of what can be
// read of a damaged one; what may have been sent in the lost part is in doubt.
//
// After a commit that failed, the journal refuses every further change with
// [ErrStopped] until it is opened anew: a kernel may have dropped the unwritten
// pages of a failed fsync, so that a second try proves nothing. A commit to a file
// that is no longer the one at the journal's path has failed too: [ErrReplaced].
//
// # Assumptions
//
// The file lies on a local file system that honours locks and fsync. One
// process writes at a time, which the lock enforces. Times are the wall clock's
// and only tell people and the limiter when something happened; no transition
// depends on them.
//
// # Compatibility
//
// The file has a schema version. A newer one is refused with [ErrVersion]; every
// older one is read by all later versions of this package.
package journal
