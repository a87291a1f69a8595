package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// ErrNotTaken means that the receiver has not said that it took a post. It may have
// taken it all the same.
var ErrNotTaken = errors.New("the summary was not taken")

// Patience is how long a post may take, all its tries together.
const Patience = 10 * time.Second

const (
	tries      = 3
	firstPause = time.Second
	maxAnswer  = 64 << 10 // bytes that are read of an answer, and not looked at
)

// Post posts a summary: once, and up to twice more when the receiver is not there or
// answers that it is busy or broken. Any 2xx is success; a failure is
// [ErrNotTaken].
func (r *Receiver) Post(ctx context.Context, s Summary) error {
	s.Schema = Schema
	body, err := r.encode(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	id, pause := "msg_"+rand.Text(), firstPause
	for try := 1; ; try++ {
		f := r.try(ctx, id, body)
		if f == nil {
			return nil
		}
		pause = max(pause, f.after)
		if !f.passing || try == tries || !rest(ctx, pause) {
			return fmt.Errorf("%w: %s", ErrNotTaken, f.words)
		}
		pause *= 2
	}
}

// rest waits for so long, or reports false at once if there is no time for that.
func rest(ctx context.Context, pause time.Duration) bool {
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= pause {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// failure is why a try has failed, in words of our own: what the other side says, or
// what an error quotes, may hold the link.
type failure struct {
	words   string
	passing bool          // another try may help
	after   time.Duration // as the receiver asks
}

// try posts once. It goes past [http.Client], which follows redirects and puts the
// address into its errors.
func (r *Receiver) try(ctx context.Context, id string, body []byte) *failure {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.link.String(), bytes.NewReader(body))
	if err != nil {
		return &failure{words: "the link cannot be sent to"}
	}
	request.Close = true // the program ends
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", r.agent)
	r.sign(request.Header, id, time.Now(), body)
	answer, err := r.transport.RoundTrip(request)
	if err != nil {
		return &failure{words: broken(err), passing: !errors.As(err, new(*tls.CertificateVerificationError))}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) // the status says it all
	_ = answer.Body.Close()
	return judge(answer)
}

func judge(answer *http.Response) *failure {
	status := answer.StatusCode
	f := &failure{words: fmt.Sprintf("the receiver answered %d", status)}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusTooManyRequests || status >= 500:
		f.passing, f.after = true, retryAfter(answer.Header)
	case status >= 300 && status < 400:
		f.words += ", a redirect, which is not followed"
	}
	return f
}

func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > int(Patience/time.Second) {
		seconds = 0 // there is no time for more anyway
	}
	return time.Duration(seconds) * time.Second
}

// broken says what is wrong with a connection.
func broken(err error) string {
	var (
		name      *net.DNSError
		untrusted *tls.CertificateVerificationError
		op        *net.OpError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "the receiver did not answer in time"
	case errors.As(err, &name):
		return "the receiver's host name was not found"
	case errors.As(err, &untrusted):
		return "the receiver's certificate is not trusted"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "the proxy lets nobody through to the receiver"
	case errors.As(err, &op) && op.Op == "dial":
		return "the receiver cannot be connected to"
	}
	return "the connection to the receiver broke"
}
