// Package limiter keeps the calls of all processes of one host within the
// service's quotas, whatever the network does to them.
//
// Reach for [Limiter] first: [New] makes one, [Limiter.Take] waits for a
// [Token], and the caller reports with one of the token's methods what became
// of the call that it made with it. A [Ledger] under the limiter makes the
// account survive restarts and kills, and shares it between processes.
//
// # What it promises
//
// No window of a quota's length at the server ever holds more than N of our
// calls. A call reaches the server somewhere between its sending and its
// answer, so counting from the sending is not enough: two calls sent a minute
// apart can arrive less than a minute apart. Therefore a token comes back one
// window and a guard after the call that it was spent on was answered. A call
// that never got an answer, and one in flight when its process died, may still
// be on its way: its token comes back that much and the longest late arrival
// after it was given up, or after its death was noticed.
//
// On top of the account every quota has a token bucket of
// [golang.org/x/time/rate] that sets the pace: the whole quota at once
// ([Burst]) or evenly spread ([Even]). A bucket alone would let almost twice
// its quota through in the first window.
//
// A refused call (HTTP 429) pauses all processes and makes the pace even until
// a whole window has passed without another one.
//
// # What it assumes
//
// Within a process time is monotonic. Across processes the wall clock at the
// opening of the ledger is used, and a clock that is behind the newest stamp in
// the ledger is moved onto it: a clock set back is as if no time had passed. A
// clock set forward between two processes, or changed either way while several
// share a ledger, cannot be told from time that really passed, and may bring
// tokens back too early by as much. Time that the machine slept counts as it does
// on the wall.
//
// The server's clock may run up to a guard per window differently from ours
// (one second an hour is 277 parts per million), and a call that was given up
// arrives within the late arrival or never. The ledger lies on a local file
// system whose locks work, and nobody removes it or its lock files while it is
// in use. It is synced to the disk by [Limiter.Sync] alone: what a power cut
// takes from it, the caller hands to [OpenLedger] from its own journal.
package limiter
