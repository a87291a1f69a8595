package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// ErrRefused is returned when the process behind the door will not do what it
// was asked for.
var ErrRefused = errors.New("refused")

// Dial connects to a door, such as [Place.Dial] with a journal.
type Dial func(ctx context.Context) (net.Conn, error)

// Status asks for the status of a campaign, of the one at work if its name is "",
// and decodes it into status. The error is that of dial, or wraps [ErrRefused].
func Status(ctx context.Context, dial Dial, campaign string, status any) error {
	path := "/status"
	if campaign != "" {
		path += "?campaign=" + url.QueryEscape(campaign)
	}
	return request(ctx, dial, http.MethodGet, path, status)
}

// Campaigns asks for all campaigns and decodes them into campaigns. The error is as
// that of [Status].
func Campaigns(ctx context.Context, dial Dial, campaigns any) error {
	return request(ctx, dial, http.MethodGet, "/campaigns", campaigns)
}

// Stop asks the process behind a door to stop; Pause and Unpause to hold its work
// and to let it go on. They return as soon as it has taken note.
func Stop(ctx context.Context, dial Dial) error {
	return request(ctx, dial, http.MethodPost, "/stop", nil)
}

// Pause is described at [Stop].
func Pause(ctx context.Context, dial Dial) error {
	return request(ctx, dial, http.MethodPost, "/pause", nil)
}

// Unpause is described at [Stop].
func Unpause(ctx context.Context, dial Dial) error {
	return request(ctx, dial, http.MethodPost, "/unpause", nil)
}

// most is how long an answer may be, in bytes.
const most = 1 << 20

func request(ctx context.Context, dial Dial, method, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*slow)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://offboard"+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var why refusal
		_ = json.Unmarshal(text, &why)
		return fmt.Errorf("%w: %s", ErrRefused, why.Error)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
