package notify

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ErrSetting means that a setting cannot be used. Its text names the setting and
// never its value.
var ErrSetting = errors.New("cannot notify")

// Form is what a post looks like.
type Form string

// The forms.
const (
	Auto    Form = "auto"    // Teams for the hosts of its links, else Generic
	Generic Form = "generic" // the [Summary] as a JSON object
	Teams   Form = "teams"   // a message with an Adaptive Card
)

// Config says where and how to post.
type Config struct {
	// URL is the link. Required; plain http is accepted to loopback only.
	URL string
	// Secret signs each post: whsec_ and the base64 of 24 to 64 bytes. Empty means
	// that none is signed.
	Secret string
	// Form is the form of the post. Empty means [Auto].
	Form Form
	// Transport carries the posts. Required. It must not send a request twice.
	Transport http.RoundTripper
	// UserAgent is sent with each post. Required.
	UserAgent string
}

// Receiver is who takes summaries. It is safe for concurrent use.
type Receiver struct {
	link      *url.URL
	form      Form
	key       []byte // nil: unsigned
	transport http.RoundTripper
	agent     string
}

// New returns a receiver. An unusable Config fails with [ErrSetting]; nothing is
// sent.
func New(c Config) (*Receiver, error) {
	link, err := parseLink(c.URL)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(c.Secret)
	if err != nil {
		return nil, err
	}
	r := &Receiver{link: link, key: key, transport: c.Transport, agent: c.UserAgent}
	switch c.Form {
	case "", Auto:
		r.form = formFor(link.Hostname())
	case Generic, Teams:
		r.form = c.Form
	default:
		return nil, fmt.Errorf("%w: the form is %q, not auto, generic or teams", ErrSetting, c.Form)
	}
	return r, nil
}

// Host is where the receiver is: all of a link that may be shown.
func (r *Receiver) Host() string { return r.link.Host }

// Form is the form of the posts, and never [Auto].
func (r *Receiver) Form() Form { return r.form }

// Signed says whether posts are signed.
func (r *Receiver) Signed() bool { return r.key != nil }

// Format hides link and secret from every verb of package fmt.
func (r *Receiver) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "{%s at %s}", r.form, r.Host())
}

// parseLink checks a link. The parser's own errors quote it, so they are not told.
func parseLink(link string) (*url.URL, error) {
	u, err := url.Parse(link)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("%w: the link is no https:// address", ErrSetting)
	case u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%w: the link holds a user or a fragment, which are not sent", ErrSetting)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, fmt.Errorf("%w: the link does not begin with https://", ErrSetting)
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// teamsHosts end the names of the hosts that Teams' links lead to: those of its
// workflows, and of the connectors before them.
var teamsHosts = []string{".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com"}

func formFor(host string) Form {
	if slices.ContainsFunc(teamsHosts, func(end string) bool { return strings.HasSuffix(strings.ToLower(host), end) }) {
		return Teams
	}
	return Generic
}
