package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// What a link and the secret to it hold that has to be found nowhere.
const (
	noticePath   = "/canary-hook-path"
	noticeLink   = noticePath + "?sig=canary+hook/query"
	noticeSecret = "whsec_Y2FuYXJ5LW9mLWEtc2lnbmluZy1rZXktMDE="
)

// receiver takes what is posted to a link.
type receiver struct {
	*httptest.Server
	status int

	mu     sync.Mutex
	posts  [][]byte
	unlike []string // what was not as a post has to be
}

func newReceiver(status int) *receiver {
	r := &receiver{status: status}
	r.Server = httptest.NewServer(r)
	return r
}

// ServeHTTP takes a post, and repeats in its answer all that it was told.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts = append(r.posts, body)
	if err != nil || request.Method != http.MethodPost || request.RequestURI != noticeLink || !strings.HasPrefix(request.Header.Get("webhook-signature"), "v1,") {
		r.unlike = append(r.unlike, request.Method+" "+request.RequestURI)
	}
	w.Header().Set("Location", request.RequestURI)
	w.WriteHeader(r.status)
	_, _ = w.Write([]byte(request.RequestURI))
}

func (r *receiver) link() string { return r.URL + noticeLink }

type receiverKey struct{}

// receiverCommand has the commands post to a receiver that answers with a status:
// receiver STATUS.
func receiverCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: receiver STATUS")
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	r := newReceiver(status)
	ts.Defer(r.Close)
	*ts.Value(receiverKey{}).(**receiver) = r
	ts.Setenv("OFFBOARD_NOTIFY_URL", r.link())
	ts.Setenv("OFFBOARD_NOTIFY_SECRET", noticeSecret)
}

// postedCommand checks how often was posted since the last posted, and writes the last
// post to a file: posted N [FILE].
func postedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: posted N [FILE]")
	}
	r := *ts.Value(receiverKey{}).(**receiver)
	r.mu.Lock()
	defer r.mu.Unlock()
	if want, err := strconv.Atoi(args[0]); err != nil || len(r.posts) != want || len(r.unlike) > 0 {
		ts.Fatalf("%d posts; want %s\n%s\n%q", len(r.posts), args[0], bytes.Join(r.posts, []byte("\n")), r.unlike)
	}
	if len(args) == 2 {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(r.posts[len(r.posts)-1], '\n'), 0o600))
	}
	r.posts = nil
}
