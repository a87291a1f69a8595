// Package simulator is a tenant of Microsoft Defender for Endpoint in one process: Entra's token
// endpoint and the machine and machine action endpoints of the API, behaving as far as is publicly
// known like the real ones, with both quotas, with lists that lag and with faults on request. It
// serves the tests, the demo and people who want to try the tool without a tenant.
//
// Reach for [New] first: a [Simulator] is an [net/http.Handler] that holds everything in memory.
// [Simulator.Start] serves it over TLS with a certificate authority made on the spot, [NewPipe]
// serves it in memory, which also works inside a testing/synctest bubble.
//
// What it promises:
//
//   - It keeps its own count of what was done to each machine. An effect beyond those that a person
//     authorised is a violation; [Simulator.Watch] makes a test fail by it without being asked.
//   - A request that has reached the service takes effect at its time whether or not the client is
//     still there to hear the answer.
//   - Nothing depends on chance alone: machines, action ids, latencies and faults follow from
//     [Config].Seed and the order of the requests.
//   - It starts no goroutines. Statuses that move on, lists that lag and requests that arrive late are
//     worked out from the clock when somebody looks, in the order of their times.
//
// What the real service does in cases that nobody has described is a guess here, and each guess is the
// one that is harder on a client: refused duplicates can be switched off, calls that are dropped
// count against the quota, and a cancellation shares its quota with the list of actions.
package simulator
