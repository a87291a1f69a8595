package notify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a card in bytes: Teams refuses a larger message, after its workflow has
// answered that it was taken. The texts in it are cut until it is small enough.
const (
	maxTeams = 28 << 10
	maxText  = 4 << 10
)

type (
	message struct {
		Type        string       `json:"type"`
		Attachments []attachment `json:"attachments"`
	}
	attachment struct {
		ContentType string `json:"contentType"`
		Content     card   `json:"content"`
	}
	card struct {
		Schema  string         `json:"$schema"`
		Type    string         `json:"type"`
		Version string         `json:"version"`
		Teams   map[string]any `json:"msteams"`
		Body    []element      `json:"body"`
	}
	// element is a TextBlock, FactSet or RichTextBlock.
	element struct {
		Type    string `json:"type"`
		Text    string `json:"text,omitempty"`
		Size    string `json:"size,omitempty"`
		Weight  string `json:"weight,omitempty"`
		Color   string `json:"color,omitempty"`
		Wrap    bool   `json:"wrap,omitempty"`
		Facts   []fact `json:"facts,omitempty"`
		Inlines []run  `json:"inlines,omitempty"`
	}
	fact struct {
		Title string `json:"title"`
		Value string `json:"value"`
	}
	run struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		Weight   string `json:"weight,omitempty"`
		FontType string `json:"fontType,omitempty"`
	}
)

// encodeTeams is the message that Teams takes.
func encodeTeams(s Summary) ([]byte, error) {
	for longest := maxText; ; longest /= 2 {
		body, err := encodeJSON(message{"message", []attachment{{
			ContentType: "application/vnd.microsoft.card.adaptive",
			Content: card{
				Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
				Teams: map[string]any{"width": "Full"}, Body: s.elements(longest),
			},
		}}})
		if err != nil || len(body) <= maxTeams || longest == 1 {
			return body, err
		}
	}
}

// titles are the end of "offboard run retired ...", and how loud it is.
var titles = map[Event]struct{ words, color string }{
	Ended:          {"has ended", "Warning"},
	StoppedByGuard: {"was stopped by a guard", "Attention"},
	SignInFailed:   {"could not sign in", "Attention"},
	Refused:        {"was refused", "Attention"},
	Interrupted:    {"was interrupted", "Warning"},
	Unreachable:    {"could not reach the service", "Attention"},
	Failed:         {"has failed", "Attention"},
	Test:           {"tries whether this message arrives", "Default"},
}

func (s Summary) elements(longest int) []element {
	title := titles[s.Event]
	if s.Event == Ended && s.ExitCode == 0 {
		title.color = "Good"
	}
	body := []element{
		{
			Type: "TextBlock", Size: "Large", Weight: "Bolder", Wrap: true, Color: title.color,
			Text: plain(strings.Join(strings.Fields("offboard "+s.Command+" "+cut(s.Campaign, longest)+" "+title.words), " ")),
		},
		{Type: "FactSet", Facts: s.facts(longest)},
	}
	for _, text := range []struct{ label, words, font string }{
		{"", s.reason(), ""}, {"Hint: ", s.Hint, ""}, {"Next: ", s.Next, "Monospace"},
	} {
		if text.words == "" {
			continue
		}
		// Others' words stand in runs, in which nothing is a link or a format.
		said := run{Type: "TextRun", Text: cut(text.words, longest), FontType: text.font}
		block := element{Type: "RichTextBlock", Inlines: []run{said}}
		if text.label != "" {
			block.Inlines = []run{{Type: "TextRun", Text: text.label, Weight: "Bolder"}, said}
		}
		body = append(body, block)
	}
	return body
}

// reason is what the code's meaning does not say already.
func (s Summary) reason() string {
	if s.ExitReason == s.ExitMeaning {
		return ""
	}
	return s.ExitReason
}

func (s Summary) facts(longest int) (facts []fact) {
	add := func(title, value string) {
		if value != "" {
			facts = append(facts, fact{title, plain(cut(value, longest))})
		}
	}
	add("Campaign", s.Campaign)
	add("Ticket", s.Ticket)
	add("Tenant", s.TenantID)
	count := func(prefix string, counts map[string]int) {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			if counts[name] > 0 {
				add(prefix+strings.ReplaceAll(name, "_", " "), strconv.Itoa(counts[name]))
			}
		}
	}
	count("", s.Counts)
	count("result: ", s.Results)
	if s.Calls != nil {
		add("Calls", fmt.Sprintf("%d, of these answered 429: %d", s.Calls.Sent, s.Calls.Throttled))
	}
	if s.Event != Test {
		add("Exit code", fmt.Sprintf("%d: %s", s.ExitCode, s.ExitMeaning))
		add("Took", s.EndedAt.Sub(s.StartedAt).Round(time.Second).String())
	}
	add("Ended", s.EndedAt.UTC().Format(time.RFC3339))
	add("By", s.Operator)
	if s.Chain != nil {
		add("Log", fmt.Sprintf("%d events, head %s", s.Chain.Length, s.Chain.Head))
	}
	return facts
}

// plain keeps Teams from taking a name for a link or a format.
func plain(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// cut bounds a text in bytes, between characters.
func cut(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	for longest > 0 && !utf8.RuneStart(text[longest]) {
		longest--
	}
	return text[:longest] + "…"
}
