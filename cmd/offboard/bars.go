package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barRow is a row with a bar: what it is of, how full it is, and in words.
type barRow struct {
	label    string
	done, of int
	words    string
}

// rows are what a person at a terminal sees of the work, none of them wider than
// width.
func (s advance) rows(width int) []string {
	rows := layOut(s.barRows(), width)
	for _, text := range append([]string{countWords(s.Counts), s.stateWords()}, s.refusalWords()...) {
		if text != "" {
			rows = append(rows, fitted(text, width))
		}
	}
	return rows
}

func (s advance) barRows() []barRow {
	all := []barRow{{"campaign", s.done, s.of, s.doneWords()}}
	for _, q := range s.Running.Quotas {
		all = append(all, barRow{periodWord(q.PerSeconds), min(q.Used, q.Limit), q.Limit, q.useWords(s.at)})
	}
	return all
}

// widestBar keeps the words beside it in sight on a wide terminal; below
// narrowestBar a bar tells nothing.
const (
	widestBar    = 40
	narrowestBar = 8
	// wordsStep keeps the bars from moving with each digit; a power of two.
	wordsStep = 8
)

// layOut puts the bars below one another; where there is no room for them, the words
// are left.
func layOut(all []barRow, width int) []string {
	label, words := 0, 0
	for _, r := range all {
		label, words = max(label, len(r.label)), max(words, runewidth.StringWidth(r.words))
	}
	words += -words & (wordsStep - 1)
	bar := min(width-label-words-2, widestBar)
	var rows []string
	for _, r := range all {
		parts := []string{fmt.Sprintf("%-*s", label, r.label), r.words}
		if bar >= narrowestBar {
			parts = []string{parts[0], drawnBar(r, bar), r.words}
		}
		rows = append(rows, fitted(strings.Join(parts, " "), width))
	}
	return rows
}

func drawnBar(r barRow, width int) string {
	var b strings.Builder
	// A writer that keeps everything fails never.
	_ = mpb.BarStyle().Padding(" ").Build().Fill(&b, decor.Statistics{
		AvailableWidth: width, Total: int64(r.of), Current: int64(r.done), Completed: r.done >= r.of,
	})
	return b.String()
}

var oneLine = strings.NewReplacer("\n", " ", "\t", " ")

// fitted is a text as one row, of which a terminal obeys nothing.
func fitted(text string, width int) string {
	return runewidth.Truncate(harmless(oneLine.Replace(text)), max(1, width), "…")
}

func (s advance) doneWords() string {
	percent := 100
	if s.of > 0 {
		percent = 100 * s.done / s.of
	}
	words := fmt.Sprintf("%d%% %s of %s %s", percent, grouped(s.done), grouped(s.of), s.verb)
	if s.Waves != nil {
		words += fmt.Sprintf(", wave %d of %d", s.Waves.Open, s.Waves.Of)
	}
	if end := s.Running.EndsAt; end != nil && s.done < s.of {
		words += fmt.Sprintf(", all by %s, in %s", moment(*end, s.at), untilThen(*end, s.at))
	}
	return words
}

// moment is a time of the day, with the day if it is another.
func moment(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Sub(now) < 24*time.Hour {
		return t.Format("15:04Z")
	}
	return t.Format("2006-01-02 15:04Z")
}

// untilThen is in whole seconds, so that nothing is due before it is.
func untilThen(t, now time.Time) string {
	return max(0, t.Sub(now)+time.Second-1).Truncate(time.Second).String()
}

func periodWord(seconds int) string {
	switch d := time.Duration(seconds) * time.Second; d {
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	default:
		return d.String()
	}
}

// useWords say how much of the limit is used, and when more is free if none is.
func (q quotaUse) useWords(now time.Time) string {
	words := fmt.Sprintf("%s of %s calls", grouped(q.Used), grouped(q.Limit))
	switch {
	case q.Used < q.Limit:
		return words
	case q.NextAt == nil:
		return words + ", next slot with the next answer"
	}
	return words + ", next slot in " + untilThen(*q.NextAt, now)
}

// stateWords say what keeps the work from going on; "" nothing.
func (s advance) stateWords() string {
	switch r := s.Running; {
	case r.Stopping != "":
		return "Stopping: " + r.Stopping
	case r.Held != nil:
		return fmt.Sprintf("Paused since %s by %s: 'offboard unpause' has it go on", moment(r.Held.Since, s.at), r.Held.By)
	case r.Waiting != nil:
		return fmt.Sprintf("Waiting %s: %s", untilThen(r.Waiting.Until, s.at), r.Waiting.Reason)
	}
	return ""
}

func (s advance) refusalWords() (all []string) {
	if len(s.Running.Refusals) > 0 {
		all = append(all, "The last refusals:")
	}
	for _, r := range s.Running.Refusals {
		all = append(all, fmt.Sprintf("  %s %s %s", r.At.UTC().Format("15:04:05Z"), r.MachineID, r.Error))
	}
	return all
}

// line is all that for a reader who has no terminal, but for the refusals, which
// the log has.
func (s advance) line() string {
	parts := []string{fmt.Sprintf("%s %s: %s", instant(s.at), s.Campaign, s.doneWords()), countWords(s.Counts)}
	for _, q := range s.Running.Quotas {
		parts = append(parts, periodWord(q.PerSeconds)+" "+q.useWords(s.at))
	}
	if why := s.stateWords(); why != "" {
		parts = append(parts, why)
	}
	return strings.Join(parts, "; ")
}
