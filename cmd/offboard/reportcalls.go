package main

import (
	"slices"
	"time"

	"offboard/journal"
)

// callCounter finds the calls in the log, and how close together they were.
type callCounter struct {
	campaign    string
	calls       []loggedCall
	open        map[string]int // by machine and campaign: the call whose outcome has not come yet
	throttled   []time.Time
	cancelCalls int
}

type loggedCall struct {
	at   time.Time
	ours bool // the campaign's
	none bool // it does not count
}

func newCallCounter(campaign string) callCounter {
	return callCounter{campaign: campaign, open: map[string]int{}}
}

func (c *callCounter) take(e journal.Event) {
	if e.MachineID == "" {
		return
	}
	key, ours := e.MachineID+e.Campaign, e.Campaign == c.campaign
	switch {
	case e.Kind == journal.KindIntent:
		c.open[key] = len(c.calls)
		c.calls = append(c.calls, loggedCall{at: e.Time, ours: ours})
		return
	case e.Kind == journal.KindCancelling && ours:
		c.cancelCalls++
	}
	i, waiting := c.open[key]
	if !waiting {
		return
	}
	delete(c.open, key)
	if e.Uncounted() {
		c.calls[i].none = true
	}
	if ours && e.Failure != nil && e.Failure.Reason == journal.ReasonThrottled {
		c.throttled = append(c.throttled, e.Time)
	}
}

func (c *callCounter) reported() reportedCalls {
	var all, ours []time.Time
	for _, call := range c.calls {
		if call.none {
			continue
		}
		all = append(all, call.at)
		if call.ours {
			ours = append(ours, call.at)
		}
	}
	r := reportedCalls{
		Sent: len(ours) + len(c.throttled), Throttled: len(c.throttled), CancelCalls: c.cancelCalls, PerMinute: c.perMinute(ours),
	}
	for _, span := range []time.Duration{time.Minute, time.Hour} {
		r.Windows = append(r.Windows, callWindow{Seconds: int(span.Seconds()), Campaign: fullest(ours, span), Journal: fullest(all, span)})
	}
	return r
}

// limit notes what the calls were kept to.
func (r *reportedCalls) limit(t runTerms) {
	for _, l := range t.Limits {
		for i := range r.Windows {
			if r.Windows[i].Seconds == l.Seconds {
				r.Windows[i].Limit = l.Limit
			}
		}
	}
}

// fullest is the most of the times that lie in any rolling span. It sorts them: the
// clock may have been set back.
func fullest(times []time.Time, span time.Duration) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func (c *callCounter) perMinute(ours []time.Time) []minuteOfCalls {
	minutes := map[time.Time]minuteOfCalls{}
	count := func(times []time.Time, add func(*minuteOfCalls)) {
		for _, at := range times {
			m := minutes[at.Truncate(time.Minute)]
			m.At = at.Truncate(time.Minute)
			add(&m)
			minutes[m.At] = m
		}
	}
	count(ours, func(m *minuteOfCalls) { m.Calls++ })
	count(c.throttled, func(m *minuteOfCalls) { m.Throttled++ })
	all := []minuteOfCalls{}
	for _, m := range minutes {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b minuteOfCalls) int { return a.At.Compare(b.At) })
	return all
}
