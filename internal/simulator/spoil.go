package simulator

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// redirect is the answer of a scripted [Redirect]: one that a client which follows it would send its
// token and its request to once more.
func redirect(c *call, f Fault) reply {
	to := f.Location
	if to == "" {
		to = c.base + "/moved" + c.path
	}
	return reply{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {to}}}
}

// spoil changes the answer to a request that was applied, as its fault demands.
func (s *Simulator) spoil(rep reply, c *call, f Fault) reply {
	switch f.Kind {
	case StatusAfter:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.failedBy(f, c.subject)
	case Garbage:
		return reply{rep.status, rep.header, []byte("\x00\xff<!-- not what was asked for -->")}
	case WrongMachine:
		return rewrite(rep, func(m map[string]any) { m["machineId"] = strings.Repeat("f", 40) })
	case NoID:
		return rewrite(rep, func(m map[string]any) { delete(m, "id") })
	default:
		return rep
	}
}

// rewrite changes the object in an answer's body.
func rewrite(rep reply, change func(map[string]any)) reply {
	var m map[string]any
	if json.Unmarshal(rep.body, &m) != nil {
		return rep // no object, nothing to change
	}
	change(m)
	return reply{rep.status, rep.header, answer(rep.status, m).body}
}

// write sends an answer on its way, or what its fault leaves of it.
func (s *Simulator) write(ctx context.Context, w http.ResponseWriter, rep reply, number int, f Fault) {
	travel := s.halfLatency("back", number)
	if f.Kind == SlowAfter {
		travel += f.Delay
	}
	if wait(ctx, travel) != nil || f.Kind == DropBefore || f.Kind == DropAfter {
		panic(http.ErrAbortHandler)
	}
	for k, v := range rep.header {
		w.Header()[k] = v
	}
	if f.Kind != Endless {
		w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	w.WriteHeader(rep.status)
	switch f.Kind {
	case Truncated:
		writePart(w, rep.body[:len(rep.body)/2])
		panic(http.ErrAbortHandler)
	case Drip:
		for i := range rep.body {
			if wait(ctx, f.Delay) != nil || !writePart(w, rep.body[i:i+1]) {
				panic(http.ErrAbortHandler)
			}
		}
	case Endless:
		writePart(w, []byte(`{"endless":"`))
		for ctx.Err() == nil && writePart(w, []byte(strings.Repeat(" ", 1<<16))) {
			continue
		}
		panic(http.ErrAbortHandler)
	default:
		writePart(w, rep.body)
	}
}

// writePart writes and flushes; false when the client has gone.
func writePart(w http.ResponseWriter, part []byte) bool {
	if _, err := w.Write(part); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}
