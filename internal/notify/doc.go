// Package notify posts the summary of a command that has ended to a link: as a
// JSON object of its own, or as the message with an Adaptive Card that Microsoft
// Teams takes.
//
// Reach for [New] first, then [Receiver.Post]. A link is a secret, since whoever
// has it can post: it is kept out of every error and every verb of package fmt, and
// so is whatever the receiver answers, which may repeat it. A [Receiver] follows no
// redirect and sends over TLS only, except to a loopback address.
//
// With a secret, each post is signed as the Standard Webhooks specification has it:
// the header webhook-signature holds "v1," and the base64 of the HMAC-SHA256 of
// webhook-id, webhook-timestamp and the body, joined by dots. The example shows how
// a receiver checks it.
package notify
