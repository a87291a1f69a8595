package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// heartbeat is how often something is sent, so that both ends learn of a
// connection that is dead.
const heartbeat = 15 * time.Second

// events sends a page what is new until it or the process goes. Last-Event-ID is
// the number of the last sample that it has; a state needs none, for each is
// whole.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	woken, leave := s.hub.join()
	if leave == nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	s.hub.refresh() // nobody may have been there for long
	w.Header().Set("Content-Type", "text/event-stream")
	stream := stream{w: w, control: http.NewResponseController(w)}
	if err := stream.control.SetReadDeadline(time.Time{}); err != nil { // the request has arrived
		return
	}
	stream.sample, _ = strconv.Atoi(r.Header.Get("Last-Event-ID"))
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-woken:
			err = stream.send(s.hub.since(stream.sample, stream.version))
		case <-beat.C:
			err = stream.write(": still here\n\n")
		}
		if errors.Is(err, errEnded) {
			stay(r.Context())
		}
		if err != nil {
			return
		}
	}
}

// errEnded says that a page has the last state.
var errEnded = errors.New("that was all")

// stay lets a page that has the last state ask for what else it shows, and hang up.
func stay(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaving)
	defer cancel()
	<-ctx.Done()
}

// stream is what one page has been sent.
type stream struct {
	w               io.Writer
	control         *http.ResponseController
	sample, version int
}

// samplesMessage is what is new for the charts.
type samplesMessage struct {
	Anew    bool     `json:"anew"` // forget those from before
	Samples []Sample `json:"samples"`
}

func (s *stream) send(n news) error {
	if len(n.samples) > 0 || n.anew && s.version == 0 {
		text, err := json.Marshal(samplesMessage{n.anew, n.samples})
		if err != nil {
			return err
		}
		if err := s.write(fmt.Sprintf("event: samples\nid: %d\ndata: %s\n\n", n.last, text)); err != nil {
			return err
		}
	}
	s.sample = n.last
	if n.state != nil {
		if err := s.write(fmt.Sprintf("event: state\nid: %d\ndata: %s\n\n", n.last, n.state)); err != nil {
			return err
		}
	}
	s.version = n.version
	if n.ended {
		return errEnded
	}
	return nil
}

// write gives up on a page that does not take what it is sent.
func (s *stream) write(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(slow)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}
