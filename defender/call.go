package defender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"offboard/internal/failpoint"
)

// call is one request to be made.
type call struct {
	op, method, path, query string
	body                    []byte
	limit                   int64 // of a 2xx answer, in bytes
	// read takes the body of a 2xx answer and says what is wrong with it.
	read func(body []byte) error
}

// action makes a call that is answered with an action, which has to be fit.
func (c *Client) action(ctx context.Context, k call, fit func(MachineAction) bool) (MachineAction, error) {
	var a MachineAction
	k.limit = maxAnswer
	k.read = func(body []byte) error {
		if err := a.UnmarshalJSON(bytes.Trim(body, jsonSpace)); err != nil {
			return err
		}
		if a.ID == "" || !fit(a) {
			return fmt.Errorf("it is action %q of type %q on machine %q", a.ID, a.Type, a.MachineID)
		}
		return nil
	}
	if err := c.do(ctx, k); err != nil {
		return MachineAction{}, err
	}
	return a, nil
}

// list makes a call for a page of a list, leaves out the rows that are not meant
// and says how many there were before.
func list[T any](
	ctx context.Context, c *Client, k call, filter string, p Page, decode func(json.RawMessage) (T, bool, error),
) (items []T, received int, err error) {
	p, err = p.normalised()
	if err != nil {
		return nil, 0, &Error{Op: k.op, Meaning: Refused, Err: err}
	}
	k.method, k.query, k.limit = http.MethodGet, p.query(filter), maxList
	k.read = func(body []byte) error {
		all, err := rows(body)
		if err != nil {
			return err
		}
		received = len(all)
		for i, row := range all {
			item, meant, err := decode(row)
			if err != nil {
				return fmt.Errorf("row %d: %w", i+1, err)
			}
			if meant {
				items = append(items, item)
			}
		}
		return nil
	}
	err = c.do(ctx, k)
	if errors.Is(err, ErrNotFound) {
		return nil, 0, nil // the service's way to say that the list is empty
	}
	if err != nil {
		return nil, 0, err
	}
	return items, received, nil
}

// do makes a call: a token, one request, and what its answer means.
func (c *Client) do(ctx context.Context, k call) error {
	p, err := c.bearer.pass(ctx)
	if err != nil {
		return err
	}
	a := c.exchange(ctx, k, p.token.Value)
	a.stale = c.bearer.answered(p, a.status)
	if a.status/100 == 2 && a.err == nil {
		a.unfit = k.read(a.body)
	}
	m := a.meaning()
	if m == Applied {
		return nil
	}
	return failure(ctx, k.op, a, m, append(proxySecrets(c.transport, c.root), p.token.Value)...)
}

// exchange sends the request and reads the answer to its end, whatever happens.
//
// It asks the transport for a single round trip: no redirects, no cookies, and
// nothing that would send again.
func (c *Client) exchange(ctx context.Context, k call, token string) (a answer) {
	if ctx.Err() != nil {
		return answer{err: context.Cause(ctx), unwritten: true}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, &timeoutError{c.timeout})
	defer cancel()
	var f flight
	req, err := c.request(f.trace(ctx), k, token)
	if err != nil {
		return answer{err: err, unwritten: true}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{err: err, unwritten: f.unwritten()}
	}
	defer func() { _ = resp.Body.Close() }()
	failpoint.Hit(failpoint.AnswerBegun)
	a = answer{status: resp.StatusCode, header: resp.Header}
	limit := int64(maxAnswer)
	if a.status/100 == 2 {
		limit = k.limit
	}
	a.body, a.err = readBounded(resp.Body, limit)
	a.body = withoutToken(a.body, token)
	return a
}

// withoutToken keeps a token that an answer echoes out of whatever is made of the
// answer, and out of what the caller keeps of it.
func withoutToken(body []byte, token string) []byte {
	if len(token) < shortestSecret || !bytes.Contains(body, []byte(token)) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(token), []byte(redaction))
}

func (c *Client) request(ctx context.Context, k call, token string) (*http.Request, error) {
	address := c.root + k.path
	if k.query != "" {
		address += "?" + k.query
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	// A body that cannot be had a second time, for want of GetBody, keeps the
	// transport from sending the request again on another connection, reads as well
	// as writes. One that it knows to be in memory leaves in one write with the header.
	req.Body, req.ContentLength, req.GetBody = io.NopCloser(bytes.NewReader(k.body)), int64(len(k.body)), nil
	if len(k.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return body, err
}

// timeoutError is why a request was given up after Config.Timeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return fmt.Sprintf("no complete answer within %v", e.after) }

func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// failure describes an answer that does not mean [Applied].
func failure(caller context.Context, op string, a answer, m Meaning, secrets ...string) *Error {
	e := parseEnvelope(a.body)
	failed := &Error{
		Op: op, Meaning: m, Status: a.status,
		Code: words(redact(e.code, secrets...)), Message: words(redact(e.message, secrets...)), Target: words(redact(e.target, secrets...)),
		Err: reason(caller, a, m, secrets),
	}
	if a.status == http.StatusTooManyRequests {
		failed.RetryAfter = retryAfter(a.header, e.message, time.Now())
		failed.Period = period(e.message)
	}
	failed.Hint = hint(failed)
	return failed
}

// reason is what went wrong beyond what the service itself said.
func reason(caller context.Context, a answer, m Meaning, secrets []string) error {
	switch {
	case a.status == 0 && m == Stop:
		return fmt.Errorf("%w: %w", ErrUntrusted, safely(a.err, secrets...))
	case a.status == 0 && m == NotApplied && caller.Err() == nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, safely(a.err, secrets...))
	case a.err != nil:
		return safely(a.err, secrets...)
	case a.unfit != nil:
		return fmt.Errorf("%w: %w", ErrUnfit, safely(a.unfit, secrets...))
	}
	return nil
}
