package notify

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTeamsCard holds the message against a golden one. With OFFBOARD_UPDATE_SCRIPTS
// it is made anew.
func TestTeamsCard(t *testing.T) {
	t.Parallel()
	stopped := summary()
	stopped.Event, stopped.ExitCode, stopped.ExitMeaning = StoppedByGuard, 5, "stopped by a guard"
	stopped.ExitReason, stopped.Hint = `11 machines were refused: [a link](https://evil.example) "quoted"`, "look at the reasons first"
	stopped.Campaign, stopped.Operator = "retired_2026", `CONTOSO\svc[1]@host`
	stopped.Results = map[string]int{"too_late": 2}
	test := Summary{Event: Test, Command: "doctor", Operator: "a@b", EndedAt: summary().EndedAt, ExitReason: "a test"}
	for name, s := range map[string]Summary{"ended": summary(), "stopped": stopped, "test": test} {
		body, err := encodeTeams(s)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, body, "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		path := filepath.Join("testdata", "teams-"+name+".json")
		if os.Getenv("OFFBOARD_UPDATE_SCRIPTS") != "" {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s: %s\nwant %s", name, &got, want)
		}
	}
}

// TestTeamsBound: however long the texts are, and however much longer JSON makes
// them, the message is one that Teams takes.
func TestTeamsBound(t *testing.T) {
	t.Parallel()
	for _, long := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\x01", 1<<20), strings.Repeat("ü", 1<<20), strings.Repeat("[", 1<<20)} {
		s := summary()
		s.Campaign, s.Ticket, s.ExitReason, s.Hint, s.Next, s.Operator = long, long, long, long, long, long
		body, err := encodeTeams(s)
		if err != nil || len(body) > maxTeams || !json.Valid(body) || !bytes.Contains(body, []byte("2990")) || bytes.Contains(body, []byte(`\ufffd`)) {
			t.Errorf("%.8q: %d bytes, %v", long, len(body), err)
		}
	}
}

// TestTitles: every event has one, and only a campaign that is done is shown as good.
func TestTitles(t *testing.T) {
	t.Parallel()
	for _, event := range []Event{Ended, StoppedByGuard, SignInFailed, Refused, Interrupted, Unreachable, Failed, Test} {
		for _, code := range []int{0, 3} {
			title := Summary{Event: event, Command: "run", ExitCode: code}.elements(maxText)[0]
			if !strings.HasPrefix(title.Text, "offboard run ") || title.Color == "" || strings.HasSuffix(title.Text, " ") {
				t.Errorf("%s: %+v", event, title)
			}
			if good := title.Color == "Good"; good != (event == Ended && code == 0) {
				t.Errorf("%s with %d: %s", event, code, title.Color)
			}
		}
	}
}
