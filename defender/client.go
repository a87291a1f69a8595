package defender

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultTimeout bounds a request that [Config.Timeout] does not.
const DefaultTimeout = 30 * time.Second

// Bounds of what is read of an answer, in bytes. A page of [MaxPage] machines
// takes about 15 MB.
const (
	maxAnswer = 1 << 20
	maxList   = 64 << 20
)

// The names of what can be tried, as errors show them.
const (
	opOffboard = "offboard"
	opActions  = "list machine actions"
	opAction   = "get machine action"
	opMachines = "list machines"
	opCancel   = "cancel machine action"
	opSignIn   = "sign in"
)

// Config says how to reach the API.
type Config struct {
	// APIURL is the root to which /api/... is appended, such as
	// [Cloud.APIURL]. Required. Plain http is accepted to loopback only.
	APIURL string
	// Tokens signs the client in. Required.
	Tokens TokenSource
	// Transport carries the requests. An [*http.Transport] is copied and made
	// to speak HTTP/1.1 without compression; anything else must not send a
	// request twice, and has to report to [net/http/httptrace], without which
	// every failure is [Unknown]. Nil means NewTransport("", nil).
	Transport http.RoundTripper
	// Timeout bounds a request from looking for a connection to the last byte
	// of the answer. The sign-in has its own time. 0 means [DefaultTimeout].
	Timeout time.Duration
	// UserAgent is sent with each request. Empty means "offboard".
	UserAgent string
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	root      string
	bearer    *bearer
	transport http.RoundTripper
	timeout   time.Duration
	agent     string
}

// New returns a client. An unusable Config fails with [ErrConfig].
func New(c Config) (*Client, error) {
	root, err := apiRoot(c.APIURL)
	if err != nil {
		return nil, err
	}
	if c.Tokens == nil {
		return nil, fmt.Errorf("%w: Tokens is nil", ErrConfig)
	}
	if c.Timeout < 0 {
		return nil, fmt.Errorf("%w: Timeout is %v", ErrConfig, c.Timeout)
	}
	if !isVisible(strings.ReplaceAll(c.UserAgent, " ", "")) {
		return nil, fmt.Errorf("%w: UserAgent %q cannot be sent", ErrConfig, c.UserAgent)
	}
	transport := c.Transport
	switch t := transport.(type) {
	case nil:
		if transport, err = NewTransport("", nil); err != nil {
			return nil, err
		}
	case *http.Transport:
		transport = oneShot(t)
	}
	return &Client{
		root:      root,
		bearer:    &bearer{source: c.Tokens, proven: true},
		transport: transport,
		timeout:   orDefault(c.Timeout, DefaultTimeout),
		agent:     orDefault(c.UserAgent, "offboard"),
	}, nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// apiRoot checks an API's address and returns it without a slash at its end.
func apiRoot(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// The parser's error quotes the address, which may hold a password.
		return "", fmt.Errorf("%w: APIURL is not an address", ErrConfig)
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%w: APIURL must be a host and at most a path", ErrConfig)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return strings.TrimRight(u.String(), "/"), nil
	case u.Scheme == "http":
		return "", fmt.Errorf("%w: a token must not go over plain http to %s", ErrConfig, u.Host)
	}
	return "", fmt.Errorf("%w: APIURL must begin with https://", ErrConfig)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// CloseIdleConnections closes the connections that no request uses.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Offboard asks the service to offboard a machine, by its id of 40 lower-case
// hexadecimal digits. The comment is required; it comes back in
// [MachineAction.RequestorComment].
//
// The action may be one that was under way before: the service answers
// a duplicate with either it or [AlreadyActive].
func (c *Client) Offboard(ctx context.Context, id, comment string) (MachineAction, error) {
	if !machineID.MatchString(id) {
		return MachineAction{}, unusable(opOffboard, "%q is not a machine id", id)
	}
	if strings.TrimSpace(comment) == "" {
		return MachineAction{}, unusable(opOffboard, "the comment is empty")
	}
	return c.action(ctx, call{
		op: opOffboard, method: http.MethodPost, path: "/api/machines/" + url.PathEscape(id) + "/offboard", body: commentBody(comment),
	}, func(a MachineAction) bool {
		return a.MachineID == id && (a.Type == "" || strings.EqualFold(a.Type, TypeOffboard))
	})
}

// Action returns a machine action by its id.
func (c *Client) Action(ctx context.Context, id string) (MachineAction, error) {
	if !actionID.MatchString(id) {
		return MachineAction{}, unusable(opAction, "%q is not an action id", id)
	}
	return c.action(ctx, call{op: opAction, method: http.MethodGet, path: "/api/machineactions/" + url.PathEscape(id)},
		func(a MachineAction) bool { return strings.EqualFold(a.ID, id) })
}

// Cancel asks the service to give up an action that is not final, and returns
// that action. The machine may still be faster: an action that reads as
// cancelled was seen to have been carried out.
func (c *Client) Cancel(ctx context.Context, id, comment string) (MachineAction, error) {
	if !actionID.MatchString(id) {
		return MachineAction{}, unusable(opCancel, "%q is not an action id", id)
	}
	if strings.TrimSpace(comment) == "" {
		return MachineAction{}, unusable(opCancel, "the comment is empty")
	}
	return c.action(ctx, call{
		op: opCancel, method: http.MethodPost, path: "/api/machineactions/" + url.PathEscape(id) + "/cancel", body: commentBody(comment),
	}, func(a MachineAction) bool { return strings.EqualFold(a.ID, id) })
}

// Actions lists one page of machine actions. The service answers an empty list
// in two ways, and both give an empty page. It may lag behind: an action that
// was just created can be missing.
func (c *Client) Actions(ctx context.Context, f ActionFilter, p Page) (ActionPage, error) {
	items, received, err := list(ctx, c, call{op: opActions, path: "/api/machineactions"}, f.odata(), p, f.decode)
	return ActionPage{items, received}, err
}

// Machines lists one page of the tenant's machines, as far as they were seen
// within the service's retention time.
func (c *Client) Machines(ctx context.Context, f MachineFilter, p Page) (MachinePage, error) {
	items, received, err := list(ctx, c, call{op: opMachines, path: "/api/machines"}, f.odata(), p, f.decode)
	return MachinePage{items, received}, err
}

// commentBody is the one field that the service wants, in just this letter case.
func commentBody(comment string) []byte {
	body, err := json.Marshal(struct{ Comment string }{comment})
	if err != nil {
		panic("defender: a string has no JSON: " + err.Error())
	}
	return body
}

func unusable(op, format string, args ...any) error {
	return &Error{Op: op, Meaning: Refused, Err: fmt.Errorf("%w: "+format, append([]any{ErrInput}, args...)...)}
}
