package main

import (
	"fmt"
	"math"
	"time"

	"offboard/journal"
)

// The charts are drawn here, as SVG: what is over does not change, and a page of an
// auditor's needs nothing that draws.

type chartBar struct {
	X, Y, W, H, TextY, AfterX float64
	Label, Value, Class       string
}

type chartLine struct {
	X1, X2, Y, LabelX, TextY float64
	Label, Class             string
}

// outcomeChart has a bar for every state that a machine is in.
type outcomeChart struct {
	Width, Height, Left float64
	Bars                []chartBar
}

var stateClasses = map[journal.State]string{
	journal.Succeeded: "good", journal.Failed: "bad", journal.TimedOut: "bad", journal.Cancelled: "bad", journal.Rejected: "bad",
	journal.InDoubt: "bad", journal.Sending: "bad", journal.Planned: "none", journal.Excluded: "none",
}

func (r *campaignReport) outcomes() outcomeChart {
	const left, width, row, room = 90, 720, 24, 100
	c := outcomeChart{Width: width, Left: left - 8}
	for _, st := range journal.States() {
		n := r.Totals.ByState[st.String()]
		if n == 0 {
			continue
		}
		w := rounded(float64(n) * (width - left - room) / float64(r.Totals.Machines))
		y := float64(len(c.Bars) * row)
		c.Bars = append(c.Bars, chartBar{
			X: left, Y: y + 4, W: max(w, 1), H: row - 8, TextY: y + row - 8, AfterX: left + max(w, 1) + 6,
			Label: st.String(), Value: grouped(n), Class: stateClasses[st],
		})
	}
	c.Height = float64(max(1, len(c.Bars)) * row)
	return c
}

// callChart has the calls of every minute, or the fullest of several where there are
// more minutes than columns.
type callChart struct {
	Width, Height, Left, Right, BottomY float64
	Bars                                []chartBar
	Lines                               []chartLine
	From, To, Words                     string
	Most                                int
}

func (r *campaignReport) callsChart() *callChart {
	minutes := r.Calls.PerMinute
	if len(minutes) == 0 {
		return nil
	}
	const left, right, top, bottom, columns = 50, 790, 14, 200, 370
	first, last := minutes[0].At, minutes[len(minutes)-1].At.Add(time.Minute)
	span := max(int(last.Sub(first)/time.Minute), 1)
	each := (span + columns - 1) / columns // minutes in a column
	wide := rounded(float64(right-left) / math.Ceil(float64(span)/float64(each)))
	c := &callChart{Width: 800, Height: bottom + 26, Left: left, Right: right, BottomY: bottom + 18, From: inUTC(first), To: inUTC(last)}
	limit := r.Calls.Windows[0].Limit
	for _, m := range minutes {
		c.Most = max(c.Most, m.Calls)
	}
	scale := float64(bottom-top) / float64(max(c.Most, limit, 1))
	for _, m := range fullestOf(minutes, each) {
		column := int(m.At.Sub(first)/time.Minute) / each
		bar := chartBar{
			X: rounded(left + float64(column)*wide), Y: rounded(bottom - float64(m.Calls)*scale), W: max(wide-.5, .5), H: rounded(float64(m.Calls) * scale),
			Label: fmt.Sprintf("%s: %s", inUTC(m.At), plural(m.Calls, "call")),
		}
		if m.Throttled > 0 {
			bar.Class, bar.Label = "bad", fmt.Sprintf("%s, %d answered 429", bar.Label, m.Throttled)
			bar.Y, bar.H = min(bar.Y, bottom-2), max(bar.H, 2)
		}
		c.Bars = append(c.Bars, bar)
	}
	c.Lines = []chartLine{{X1: left, X2: right, Y: bottom, LabelX: left - 4, TextY: bottom, Label: "0", Class: "axis"}}
	c.Words = fmt.Sprintf("%s at most in a minute of the clock.", plural(c.Most, "call"))
	if limit > 0 {
		y := rounded(bottom - float64(limit)*scale)
		c.Lines = append(c.Lines, chartLine{X1: left, X2: right, Y: y, LabelX: left - 4, TextY: y + 4, Label: grouped(limit), Class: "limit"})
		c.Words += fmt.Sprintf(" The dashed line is the limit of %s.", grouped(limit))
	}
	if each > 1 {
		c.Words += fmt.Sprintf(" Each column is the fullest of %d minutes.", each)
	}
	if r.Calls.Throttled > 0 {
		c.Words += " A minute with an answer of 429 is red."
	}
	return c
}

// fullestOf is the fullest minute of each column that has any, with the column's 429s.
func fullestOf(minutes []minuteOfCalls, each int) (columns []minuteOfCalls) {
	last := -1
	for _, m := range minutes {
		column := int(m.At.Sub(minutes[0].At)/time.Minute) / each
		if column != last {
			columns, last = append(columns, m), column
			continue
		}
		known := &columns[len(columns)-1]
		throttled := known.Throttled + m.Throttled
		if m.Calls > known.Calls {
			*known = m
		}
		known.Throttled = throttled
	}
	return columns
}

// rounded keeps coordinates short.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }
