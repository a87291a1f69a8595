package main

import (
	"fmt"
	"strings"
	"time"

	"offboard/journal"
	"offboard/limiter"
)

// running is what only the process knows that carries a campaign out or follows
// it: part of the campaign object (docs/json-output.md) while there is one.
type running struct {
	PID       int         `json:"pid"`
	Operator  string      `json:"operator"` // account@host
	Campaign  string      `json:"campaign"` // that is at work
	StartedAt time.Time   `json:"started_at"`
	Held      *heldBy     `json:"held"`     // nil: not held
	Stopping  string      `json:"stopping"` // why, "" if it is not
	Waiting   *waitingFor `json:"waiting"`  // nil: for nothing but answers
	Quotas    []quotaUse  `json:"quotas"`   // of the offboard API, empty while nothing is sent
	Refusals  []refused   `json:"refusals"` // the last few of this run, the newest last
	EndsAt    *time.Time  `json:"ends_at"`  // nil: not known, held, or waves are to come
}

type heldBy struct {
	Since time.Time `json:"since"`
	By    string    `json:"by"`
}

type waitingFor struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

type quotaUse struct {
	PerSeconds int `json:"per_seconds"`
	Limit      int `json:"limit"`
	Used       int `json:"used"`
	// NextAt is when the next token comes back; nil if none is out, or that depends
	// on calls in flight.
	NextAt *time.Time `json:"next_at"`
}

// refused is a request of this run whose answer was an error.
type refused struct {
	At        time.Time `json:"at"`
	MachineID string    `json:"machine_id"`
	State     string    `json:"state"` // that the machine is in after it
	Error     string    `json:"error"`
}

// measure adds what the quota says: how much is used, what is waited for if all
// is, and when the last of so many machines can have been sent.
func (r *running) measure(calls *limiter.Limiter, planned int) {
	status, now := calls.Status(), time.Now().UTC()
	for _, q := range status.Quotas {
		use := quotaUse{PerSeconds: int(q.Per / time.Second), Limit: q.N, Used: q.Used}
		if !q.Next.IsZero() {
			next := now.Add(q.Next.Sub(status.Now))
			use.NextAt = &next
		}
		r.Quotas = append(r.Quotas, use)
		if q.Used >= q.N && !q.Next.IsZero() && r.Waiting == nil && planned > 0 {
			reason := fmt.Sprintf("the %d calls in %s are used up", q.N, strings.TrimSuffix(strings.TrimSuffix(q.Per.String(), "0s"), "0m"))
			r.Waiting = &waitingFor{reason, now.Add(q.Next.Sub(status.Now))}
		}
	}
	if r.Held == nil && r.Stopping == "" {
		end := now.Add(calls.Forecast(planned)).Truncate(time.Second)
		r.EndsAt = &end
	}
}

// words are a line for a person.
func (r *running) words() string {
	parts := []string{fmt.Sprintf("Running since %s, pid %d, by %s", instant(r.StartedAt), r.PID, r.Operator)}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case r.Stopping != "":
		add("stopping: %s", r.Stopping)
	case r.Held != nil:
		add("held since %s by %s", instant(r.Held.Since), r.Held.By)
	case r.Waiting != nil:
		add("waiting until %s: %s", instant(r.Waiting.Until), r.Waiting.Reason)
	}
	for _, q := range r.Quotas {
		add("%s of %s calls in %s", grouped(q.Used), grouped(q.Limit), time.Duration(q.PerSeconds)*time.Second)
	}
	if r.EndsAt != nil {
		add("all sent by %s", instant(*r.EndsAt))
	}
	return strings.Join(parts, "; ") + "."
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// writeRunning is how a campaign is shown to a person while a process is at work.
func (a *app) writeRunning(r result, form string) error {
	if form == "text" {
		if _, err := fmt.Fprintln(a.env.stdout, r.Running.words()); err != nil {
			return err
		}
	}
	if err := r.write(a.env.stdout, form, counted(r.Counts), ""); err != nil {
		return err
	}
	return writeChain(a.env.stdout, form, r.Chain)
}

// planned is how many machines are left to send.
func (r result) planned() int { return r.Counts[journal.Planned.String()] }
