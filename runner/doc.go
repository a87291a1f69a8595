// Package runner carries out a campaign: every machine that the journal has
// planned is offboarded at most once, as fast as the quota allows.
//
// Start with [New] and [Runner.Run]. For each machine a worker takes a token,
// writes the intent, sends one request, decides by the answer's meaning, and
// writes the outcome. The steps are always in this order, so whatever instant
// the process dies at, the journal says which of them may have happened.
//
// # At most once
//
// A request whose outcome is unknown leaves its machine in doubt. A machine in
// doubt is never sent again on a guess: the runner asks the service for the
// machine's Offboard actions. An action that carries the attempt's mark (see
// [Mark]) proves that the request arrived. That it did not arrive is believed
// only after two looks, see [Config.SettleWait]. Until then, and for ever where
// the permission to look is missing, the machine stays in doubt and a person
// decides.
//
// This holds under these assumptions: a request reaches the service within a
// minute of being given up, the action list shows an action within SettleWait
// of its arrival, and the journal's disk keeps what it reported as synced.
//
// # Taking back
//
// [NewCanceller] cancels what a campaign asked for itself and what has not ended:
// first a look, then intent, request and outcome for each as above, then a look
// again. Cancelling is the same action asked about once more, so it may be asked
// twice; what an action says in the end is the service's word, and a device may
// have been faster.
//
// # Stopping
//
// Cancelling Run's context means: take nothing new, finish and record what is
// in flight. A machine that fails is data in the journal and never an error of
// Run; Run's errors are those that no other machine could escape either.
package runner
