package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of every post; the last only of one that is signed.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// Bounds of a key, in bytes.
const (
	shortestKey = 24
	longestKey  = 64
)

// parseKey reads a secret; an empty one gives no key.
func parseKey(secret string) ([]byte, error) {
	if secret == "" {
		return nil, nil
	}
	digits, prefixed := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(digits)
	if !prefixed || err != nil || len(key) < shortestKey || len(key) > longestKey {
		return nil, fmt.Errorf("%w: the secret is not whsec_ and the base64 of %d to %d bytes", ErrSetting, shortestKey, longestKey)
	}
	return key, nil
}

// sign sets the headers by which a receiver tells a post from any other: the id is
// the same in all tries of one, the time is that of the try.
func (r *Receiver) sign(h http.Header, id string, now time.Time, body []byte) {
	seconds := strconv.FormatInt(now.Unix(), 10)
	h.Set(headerID, id)
	h.Set(headerTimestamp, seconds)
	if r.key == nil {
		return
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = mac.Write([]byte(id + "." + seconds + "."))
	_, _ = mac.Write(body)
	h.Set(headerSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
