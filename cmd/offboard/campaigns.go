package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"offboard/internal/door"
	"offboard/journal"
)

type campaignsFlags struct {
	offlineFlags
	outputFlag
	ticket string
}

func (a *app) campaignsCommand() *cobra.Command {
	var f campaignsFlags
	cmd := &cobra.Command{
		Use:   "campaigns",
		Short: "List the campaigns by ticket",
		Long: `Lists the journal's campaigns by ticket: when each was begun, when its last run
ended and with which exit code, and how its machines stand. It asks the run that
is under way, of this account, or reads the journal when there is none. A campaign
is open while a machine is left to send or to settle.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.campaigns(cmd.Context(), &f) },
	}
	f.bindTenant(cmd.Flags())
	f.outputFlag.bind(cmd.Flags())
	f.bindJournal(cmd.Flags())
	cmd.Flags().StringVar(&f.ticket, "ticket", "", "only the campaigns of this ticket `ID`")
	return cmd
}

// campaignsResult is what campaigns prints with --output json.
type campaignsResult struct {
	TenantID  string           `json:"tenant_id"`
	Journal   string           `json:"journal"`
	Campaigns []campaignResult `json:"campaigns"`
}

type campaignResult struct {
	Campaign  string         `json:"campaign"`
	Ticket    string         `json:"ticket,omitempty"`
	Comment   string         `json:"comment"`
	CreatedAt time.Time      `json:"created_at"`
	EndedAt   *time.Time     `json:"ended_at,omitempty"`
	ExitCode  *int           `json:"exit_code,omitempty"`
	Open      bool           `json:"open"`
	Aborted   *abortion      `json:"aborted,omitempty"`
	Machines  int            `json:"machines"`
	Counts    map[string]int `json:"counts"`
}

func (a *app) campaigns(ctx context.Context, f *campaignsFlags) error {
	if err := f.validate(); err != nil {
		return err
	}
	r, err := a.askCampaigns(ctx, f)
	if err != nil {
		return err
	}
	if f.ticket != "" {
		r.Campaigns = slices.DeleteFunc(r.Campaigns, func(c campaignResult) bool { return c.Ticket != f.ticket })
	}
	if f.output == "json" {
		return writeJSON(a.env.stdout, r)
	}
	return r.write(a.env.stdout, cmp.Or(a.width(), terminalWidth))
}

// askCampaigns asks the run that holds the journal, and reads the journal when
// there is none.
func (a *app) askCampaigns(ctx context.Context, f *campaignsFlags) (r campaignsResult, err error) {
	tenant := a.journalTenant(&f.connectionFlags)
	path, err := a.existingJournal(&f.offlineFlags, tenant)
	if err != nil {
		return r, err
	}
	err = a.ask(ctx, path, func(ctx context.Context, dial door.Dial) error { return door.Campaigns(ctx, dial, &r) })
	switch {
	case err == nil && f.tenant != "" && r.TenantID != tenant.ID:
		return r, fmt.Errorf("%s: %w", path, journal.ErrForeign)
	case !errors.Is(err, errNoRun):
		return r, missing(path, err)
	}
	j, err := a.openOffline(&f.offlineFlags, journal.Options{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer j.Close()
	return campaignsOf(j)
}

func campaignsOf(j *journal.Journal) (campaignsResult, error) {
	all := campaignsResult{TenantID: j.Tenant().ID, Journal: j.Path(), Campaigns: []campaignResult{}}
	infos, err := j.Campaigns()
	if err != nil {
		return all, err
	}
	for _, info := range infos {
		c, err := j.Campaign(info.Name)
		if err != nil {
			return all, err
		}
		r, counts, err := resultOf(j, c)
		if err != nil {
			return all, err
		}
		left := slices.ContainsFunc(unfinished, func(st journal.State) bool { return counts.Of(st) > 0 })
		all.Campaigns = append(all.Campaigns, campaignResult{
			Campaign: r.Campaign, Ticket: r.Ticket, Comment: info.Comment, CreatedAt: info.Created,
			EndedAt: r.EndedAt, ExitCode: r.ExitCode, Aborted: r.Aborted, Open: r.Aborted == nil && (left || !info.Enlisted),
			Machines: counts.Total(), Counts: r.Counts,
		})
	}
	return all, nil
}

// terminalWidth is what every terminal shows in one line.
const terminalWidth = 80

// write shows two lines a campaign under a heading for each ticket, none of them
// wider than width.
func (r campaignsResult) write(w io.Writer, width int) error {
	if len(r.Campaigns) == 0 {
		_, err := fmt.Fprintln(w, "No campaigns.")
		return err
	}
	byTicket := slices.SortedStableFunc(slices.Values(r.Campaigns), func(a, b campaignResult) int { return cmp.Compare(a.Ticket, b.Ticket) })
	var b strings.Builder
	for i, c := range byTicket {
		if i == 0 || c.Ticket != byTicket[i-1].Ticket {
			b.WriteString(shortened("Ticket "+cmp.Or(c.Ticket, "(none)"), width) + "\n")
		}
		b.WriteString(shortened(c.line(), width) + "\n" + shortened("    "+c.states()+"  "+c.Comment, width) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c campaignResult) line() string {
	state, ended, code := "done", "not ended", "-"
	if c.Open {
		state = "open"
	}
	if c.EndedAt != nil {
		ended = "ended " + c.EndedAt.UTC().Format("2006-01-02 15:04Z")
	}
	if c.ExitCode != nil {
		code = fmt.Sprint(*c.ExitCode)
	}
	return fmt.Sprintf("  %-20s %s  begun %s  %s  exit %s", shortened(c.Campaign, 20), state, c.CreatedAt.UTC().Format("01-02 15:04Z"), ended, code)
}

// states counts the machines in the states that there are.
func (c campaignResult) states() string {
	words := plural(c.Machines, "machine") + ": " + countWords(c.Counts)
	if c.Aborted != nil {
		return "aborted; " + words
	}
	return words
}

func countWords(counts map[string]int) string {
	parts := []string{}
	for _, state := range journal.States() {
		if n := counts[state.String()]; n > 0 {
			parts = append(parts, grouped(n)+" "+strings.ReplaceAll(state.String(), "_", " "))
		}
	}
	return strings.Join(parts, ", ")
}

// shortened is as much of s as takes so many columns.
func shortened(s string, most int) string {
	return runewidth.Truncate(harmless(s), most, "…")
}
