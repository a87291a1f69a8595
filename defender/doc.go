// Package defender is a client of the Microsoft Defender for Endpoint API for
// programs that must know what a call did. It offboards machines, reads and
// cancels machine actions and lists machines.
//
// Reach for [New] first: a [Client] makes one request per method call, and each
// failure is an [*Error] whose [Meaning] says what the answer means for the
// thing that was asked for. A [TokenSource] signs the client in; [NewTokens]
// makes one from an [AuthConfig], and [AuthFromEnv] fills that from the usual
// environment variables. [ParseCloud] knows the addresses of Microsoft's clouds
// and [ParseClaims] looks into a token before it is used.
//
// # Promises
//
//   - One method call puts at most one request on the wire: HTTP/1.1, no
//     redirect followed, nothing sent again by the transport, not even a read on
//     a connection that the server had closed.
//   - [Applied] is said only of a 2xx answer that was read to its end and holds
//     an action for the machine that was asked for. [NotApplied] is said only
//     when nothing was written to the connection or the service answered that
//     it did not take the request. Whatever is neither, and no refusal either,
//     is [Unknown].
//   - A bearer token is sent only over TLS, except to a loopback address, and
//     only to the configured API. No secret appears in an error.
//   - What a server sends cannot exhaust the memory: 1 MiB for an action, 64 MiB
//     for a page of a list.
//   - Links to a next page are never followed. The service's own were seen to
//     lose their filter, so that they list the whole tenant; pages are asked for
//     by number of rows, and every filter is checked again on what arrives.
//
// The package neither retries nor paces. A caller that does needs to know only
// the error: [Error.Meaning], [Error.RetryAfter] and [Error.Period].
package defender
