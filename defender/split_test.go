package defender

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
)

// decoded is what package json's own decoder makes of an object, key by key.
func decoded(data []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.Join(errNotAnObject, err)
	}
	o := object{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		o.add(strings.ToLower(key.(string)), value)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotAnObject
	}
	return o, nil
}

// FuzzObject compares the reading of an object with that of package json.
func FuzzObject(f *testing.F) {
	for _, name := range []string{"action.json", "machine.json"} {
		f.Add(string(sample(f, name)))
	}
	for _, data := range []string{
		"{}", " { } ", "{}x", "{", "", "null", "[]", `{"a":1,"A":1}`, `{"a":1,"A":2}`, `{"a" : "x\"}" , "b":[{"c":"]"}],"d":{}}`,
		`{"\u0041":"\ud800"}`, "{\"\xff\":\"\xff\"}", `{"a":-1.5e3,"b":true,"c":null}`, "{\"a\":1}\u0085", `{"a":}`, `{,}`, `{"a":1,}`, "\ufeff{}",
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		got, err := parseObject([]byte(data))
		want, wrong := decoded([]byte(data))
		if (err == nil) != (wrong == nil) || err != nil && !errors.Is(err, errNotAnObject) {
			t.Fatalf("%q: %v, want %v", data, err, wrong)
		}
		if !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }) {
			t.Fatalf("%q: %v, want %v", data, got, want)
		}
		for key, raw := range got {
			var s string
			if len(raw) > 0 && raw[0] == '"' && (json.Unmarshal(raw, &s) != nil || got.text(key) != s) {
				t.Fatalf("%q: %q is %q", data, key, got.text(key))
			}
		}
	})
}

// BenchmarkAnswer reads an answer to its meaning.
func BenchmarkAnswer(b *testing.B) {
	body := sample(b, "action.json")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		a := answer{status: 201, body: body}
		var action MachineAction
		if a.unfit = action.UnmarshalJSON(bytes.Trim(a.body, jsonSpace)); a.meaning() != Applied || action.ID == "" {
			b.Fatal(a.unfit)
		}
	}
}
