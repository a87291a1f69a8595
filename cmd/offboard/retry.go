package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/input"
	"offboard/journal"
)

// retryFlags are a person's word that machines are sent again. All are personal: none
// is taken from the environment.
type retryFlags struct {
	retry, of, reason string
	again             bool
}

func (f *retryFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.retry, "retry", "", "send again what ended as one of these `states` in the campaign: rejected,failed,timed_out,cancelled")
	fs.StringVar(&f.of, "retry-of", "", "with --retry, instead of a list: what ended so in this earlier `campaign`; its comment and rules are the default, and its name with -retry")
	fs.BoolVar(&f.again, "again", false, "send again what has succeeded, in whichever campaign: a device that was onboarded again under its id (needs --reason)")
	fs.StringVar(&f.reason, "reason", "", "`why` it is sent again, for the journal; the same reason sends what has succeeded again only once")
}

func (f *retryFlags) validate() error {
	states, err := f.states()
	switch {
	case err != nil:
		return err
	case f.again && strings.TrimSpace(f.reason) == "":
		return usageError("--again needs --reason with the reason for it")
	case f.reason != "" && !f.again && len(states) == 0:
		return usageError("--reason is why something is sent again: give --retry or --again with it")
	case f.of != "" && (len(states) == 0 || f.again):
		return usageError("--retry-of goes with --retry alone")
	}
	return nil
}

// states are the ends that are sent again. What may have an effect still never is.
func (f *retryFlags) states() (states []journal.State, err error) {
	if f.retry == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(f.retry, ",") {
		var st journal.State
		if st.UnmarshalText([]byte(strings.TrimSpace(word))) != nil {
			return nil, usageError("--retry %q: %q is not rejected, failed, timed_out or cancelled", f.retry, word)
		}
		switch st {
		case journal.Rejected, journal.Failed, journal.TimedOut, journal.Cancelled:
			states = append(states, st)
		case journal.Accepted:
			return nil, guardError("'offboard follow' waits for its end", "a machine that was accepted has an action that has not ended; it is not sent again")
		case journal.Sending, journal.InDoubt:
			return nil, guardError("'offboard resume' asks the service again; or 'offboard resolve' with your own verdict", "a machine in doubt is not sent again")
		case journal.Succeeded:
			return nil, usageError("--retry %q: what has succeeded is sent again by --again --reason", f.retry)
		default:
			return nil, usageError("--retry %q: %s is no end", f.retry, st)
		}
	}
	return states, nil
}

// listArgs takes a list, or none where the journal has it.
func (f *retryFlags) listArgs(cmd *cobra.Command, args []string) error {
	if f.of == "" {
		return exactArgs(1)(cmd, args)
	}
	if len(args) > 0 {
		return usageError("--retry-of takes the machines from the journal: leave out the list")
	}
	return nil
}

// takeEnded fills the list with the machines that the named campaign has in the states
// that are sent again.
func (s *session) takeEnded(l *input.List, f *runFlags) (map[string]journal.Live, error) {
	if f.of == "" {
		return nil, nil
	}
	if s.journal == nil {
		return nil, usageError("there is no journal at %s, and no campaign %q", s.path, f.of)
	}
	if f.of == f.campaign {
		return nil, usageError("--retry-of names another campaign than --campaign; in %q itself give its list and --retry", f.of)
	}
	c, err := s.journal.Campaign(f.of)
	if err != nil {
		return nil, err
	}
	states, err := f.states()
	if err != nil {
		return nil, err
	}
	was, err := readEnded(c, states, l)
	if err != nil || len(was) > 0 {
		return was, err
	}
	counts, err := c.Counts()
	if err != nil {
		return nil, err
	}
	s.app.log.Warn().Str("campaign", f.of).Str("retry", f.retry).Msg("nothing to do: no machine of the campaign ended so")
	return nil, &commandError{code: campaignCode(counts), err: errors.New("")}
}

// readEnded reads a campaign's machines into a list, in the order in which they were
// listed.
func readEnded(c *journal.Campaign, states []journal.State, l *input.List) (map[string]journal.Live, error) {
	info := c.Info()
	l.Columns = info.Columns
	was := map[string]journal.Live{}
	var rows []input.Machine
	sum := sha256.New()
	for e, err := range c.Entries() {
		if err != nil {
			return nil, err
		}
		if e.SettledBy != "" || !slices.Contains(states, e.State) {
			continue
		}
		m := input.Machine{ID: e.MachineID, Name: e.Name, Comment: e.Comment, Line: e.Row}
		for _, column := range l.Columns {
			m.Carried = append(m.Carried, e.Carried[column])
		}
		rows = append(rows, m)
		was[e.MachineID] = journal.Live{MachineID: e.MachineID, Campaign: info.Name, State: e.State, Updated: e.Updated}
		_, _ = io.WriteString(sum, e.MachineID+"\n")
	}
	slices.SortStableFunc(rows, func(a, b input.Machine) int { return cmp.Compare(a.Line, b.Line) })
	l.Machines = input.MachinesOf(rows...)
	l.Rows, l.SHA256 = len(rows), hex.EncodeToString(sum.Sum(nil))
	return was, nil
}

// inherit lets a new campaign have the comment and the rules of the one whose machines
// it sends again, unless it tightens them.
func (s *session) inherit(p *plan, f *runFlags) error {
	if f.of == "" || p.existing != nil {
		return nil
	}
	c, err := s.journal.Campaign(f.of)
	if err != nil {
		return err
	}
	p.comment = cmp.Or(p.comment, c.Info().Comment)
	begun, err := rulesOf(c.Info())
	if err != nil {
		return err
	}
	// Another campaign has waves, a plan and a ticket of its own.
	waves := p.rules.Waves
	begun.Waves, begun.Plan, p.rules.Waves = nil, planMark{}, nil
	begun.Ticket = cmp.Or(p.rules.Ticket, begun.Ticket)
	p.rules, err = begun.tightened(p.rules)
	p.rules.Waves = waves
	return err
}

// authorise writes the word to the journal for the machines that are sent again.
func (s *session) authorise(c *journal.Campaign, p plan, f *runFlags) error {
	if len(p.again) == 0 {
		return nil
	}
	words := make([]journal.Authorisation, 0, len(p.again))
	for _, k := range p.again {
		reason := f.reason
		if reason == "" {
			reason = fmt.Sprintf("--retry: it was %s in campaign %s", k.State, k.Campaign)
		}
		words = append(words, journal.Authorisation{
			MachineID: k.machine.ID, Reason: reason, Again: k.State == journal.Succeeded, Past: p.past[k.machine.ID],
		})
	}
	if err := c.Authorise(words); err != nil {
		return err
	}
	s.app.log.Info().Str("campaign", f.campaign).Int("machines", len(words)).Str("reason", f.reason).Msg("authorised to be sent again")
	return nil
}

// renewedWords tell a person who confirms what of the machines has ended before, and
// how; "" nothing.
func (p preview) renewedWords() string {
	var b strings.Builder
	if n := len(p.again); n > 0 {
		fmt.Fprintf(&b, "%s of them again: %s.\n", grouped(n), endsOf(p.again))
	}
	if n := len(p.before); n > 0 {
		fmt.Fprintf(&b, "%s of them ended before in another campaign: %s.\n", grouped(n), endsOf(p.before))
	}
	cancelled := func(k known) bool { return k.State == journal.Cancelled }
	if slices.ContainsFunc(p.again, cancelled) || slices.ContainsFunc(p.before, cancelled) {
		b.WriteString("What says cancelled may have been carried out all the same; 'offboard verify' tells.\n")
	}
	return b.String()
}

// endsOf counts machines by how they ended, and says when the last did.
func endsOf(all []known) string {
	counts, last := map[journal.State]int{}, map[journal.State]time.Time{}
	for _, k := range all {
		counts[k.State]++
		if k.Updated.After(last[k.State]) {
			last[k.State] = k.Updated
		}
	}
	var parts []string
	for _, st := range journal.States() {
		if counts[st] == 0 {
			continue
		}
		words := grouped(counts[st]) + " " + st.String()
		if !last[st].IsZero() {
			words += ", the last " + last[st].UTC().Format(time.RFC3339)
		}
		parts = append(parts, words)
	}
	return strings.Join(parts, "; ")
}
