package notify

import (
	"bytes"
	"encoding/json"
)

// encode is the body of a post.
func (r *Receiver) encode(s Summary) ([]byte, error) {
	if r.form == Teams {
		return encodeTeams(s)
	}
	return encodeJSON(s)
}

// encodeJSON leaves <, > and & as they stand.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
