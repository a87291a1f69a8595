// Package dashboard serves a campaign as a page that keeps itself current in a
// browser.
//
// [Serve] answers at a listener for a [Source]: the page and its files to anybody,
// everything that tells of the campaign, or changes it, only to who has the token.
// The token is in the fragment of [Server.Link], which a browser sends to nobody.
// The page keeps it in the storage of its own origin and sends it in a header with
// each request. It is no cookie on purpose: a browser sends the cookies of a host
// to every port of it, so on a host that others use, too, theirs would get ours.
// A request of another site carries no token, and is refused for that alone.
//
// The state of the campaign goes out as server-sent events. Each is the whole
// state, so that who was cut off has caught up with the next one; only the samples
// of the quotas, which draw the charts, are sent as what is new since the last
// that a client has seen.
//
// The machines are searched and sorted here, over an index in memory that is made
// when it is first asked for: about 200 bytes a machine and its carried columns,
// so 100,000 machines take some 20 MB and a million some 200 MB. What a page of
// the table shows is read from the source anew.
package dashboard
