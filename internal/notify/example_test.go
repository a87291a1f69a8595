package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"offboard/internal/notify"
)

// A receiver that believes only what was signed with the secret, and lately.
func Example_verify() {
	const secret = "whsec_YW55IDI0IHRvIDY0IGJ5dGVzIG9mIGNoYW5jZQ=="
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !verified(r.Header, body, secret) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Println("believed")
	}))
	defer server.Close()

	for _, own := range []string{secret, "whsec_b3RoZXIgYnl0ZXMgdGhhbiB0aG9zZSBvZiBhYm92ZQ=="} {
		receiver, err := notify.New(notify.Config{URL: server.URL, Secret: own, Transport: server.Client().Transport, UserAgent: "example"})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(receiver.Post(context.Background(), notify.Summary{Event: notify.Test}))
	}
	// Output:
	// believed
	// <nil>
	// the summary was not taken: the receiver answered 401
}

// verified says whether a post was signed with the secret in the last five minutes.
func verified(h http.Header, body []byte, secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(h.Get("webhook-signature")), []byte(want))
}
