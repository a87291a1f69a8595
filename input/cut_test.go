package input

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestCutValue: a value ends where a decoder says so, whatever quotes and brackets its strings hold.
func TestCutValue(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		`""`, `"a"`, `"\""`, `"\\"`, `"\\\""`, `"a\\\\"`, `",]}"`, `{}`, `[]`, `[[],{}]`, `{"}":"]","a":[{"b":"\"]}"}]}`,
		"[ 1 ,\n\"]\" ]", `0`, `-1.5e+9`, `true`, `false`, `null`, `"ü\u0022"`,
	} {
		for _, behind := range []string{",1]", "]", "}", " \t\r\n,\"\\\"]", "\n]", ":\"a\"}"} {
			if behind[0] == ':' && value[0] != '"' {
				continue // only names have a colon behind them
			}
			got, rest := cutValue([]byte(value + behind))
			if string(got) != value || string(rest) != strings.TrimLeft(behind, " \t\r\n") {
				t.Errorf("%s before %q: cut into %q and %q", value, behind, got, rest)
			}
			var first json.RawMessage
			if err := json.NewDecoder(strings.NewReader(value + behind)).Decode(&first); err != nil || string(first) != string(got) {
				t.Errorf("%s before %q: a decoder finds %q, %v", value, behind, first, err)
			}
		}
	}
}
