package failpoint

// Point is a moment between two steps.
type Point string

// The points, in the order in which a campaign meets them for the first time.
// Several may follow one another with nothing in between in some cases.
const (
	// A journal is made.
	JournalDrafted   Point = "journal-drafted"   // complete, under a name of its own
	JournalPublished Point = "journal-published" // under its name, which is not durable yet

	// The quota ledger is written, without a sync.
	LedgerAnew Point = "ledger-anew" // its slots are in a new file, its header is not
	LedgerSlot Point = "ledger-slot" // header and maybe slots are written, this slot is not

	// A transaction of the journal.
	BatchApplied Point = "batch-applied" // nothing of it is on disk
	BatchSynced  Point = "batch-synced"  // on disk, nobody has been told

	// A list is taken.
	Recovered       Point = "doubts-recovered" // what was sending is in doubt
	CampaignStarted Point = "campaign-started"
	ListOpened      Point = "list-opened"   // what leaves has not left, what comes has not come
	ListTaken       Point = "list-taken"    // a piece of it
	ListEnlisted    Point = "list-enlisted" // all of it, and the campaign may send

	// A run begins and reads the tenant.
	RunBegun       Point = "run-begun"
	PriorNoted     Point = "prior-noted"     // the ids of earlier actions
	ActionAdopted  Point = "action-adopted"  // one of somebody else's
	TenantCompared Point = "tenant-compared" // everything is adopted, which the campaign does not know

	// A request.
	TokenTaken     Point = "token-taken"
	IntentDue      Point = "intent-due" // the token is ours and the gate open
	IntentOnDisk   Point = "intent-on-disk"
	BytesWritten   Point = "bytes-written" // to a connection: a request, or what goes before one
	AnswerBegun    Point = "answer-begun"  // its header is there
	AnswerReceived Point = "answer-received"
	TokenTold      Point = "token-told"
	NextDue        Point = "next-due"        // its token is ours, the outcome before it is not on disk
	NextBegun      Point = "next-begun"      // its intent is on disk with that outcome
	DoubtOnDisk    Point = "doubt-on-disk"   // the settler does not know it
	OutcomeOnDisk  Point = "outcome-on-disk" // it does not count yet

	// A doubt is settled.
	LookMade         Point = "look-made"
	SettlementDue    Point = "settlement-due"
	SettlementOnDisk Point = "settlement-on-disk" // the queue does not know it

	// A wave ends, and the next begins.
	WaveEnded    Point = "wave-ended"    // on disk, and nothing is waited for yet
	WaveReleased Point = "wave-released" // on disk, and nothing of it was sent

	// A run ends.
	WorkDone       Point = "work-done"
	ResultRecorded Point = "result-recorded" // and not shown
)

// All returns every point.
func All() []Point {
	return []Point{
		JournalDrafted, JournalPublished, LedgerAnew, LedgerSlot, BatchApplied, BatchSynced,
		Recovered, CampaignStarted, ListOpened, ListTaken, ListEnlisted,
		RunBegun, PriorNoted, ActionAdopted, TenantCompared,
		TokenTaken, IntentDue, IntentOnDisk, BytesWritten, AnswerBegun, AnswerReceived, TokenTold, NextDue, NextBegun, DoubtOnDisk, OutcomeOnDisk,
		LookMade, SettlementDue, SettlementOnDisk, WaveEnded, WaveReleased, WorkDone, ResultRecorded,
	}
}
