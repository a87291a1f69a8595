package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offboard/journal"
	"offboard/runner"
)

type verifyFlags struct {
	campaignFlags
	verbose bool
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare a campaign with the inventory, some days later",
		Long: `Reads the tenant's inventory and says of every machine that was sent whether it
has been silent since, is still reporting, is back under a new id, or is gone.
Its onboarding status proves nothing: an offboarded machine goes on being shown
as onboarded. Silence means something after two days.

A machine whose action was cancelled should be reporting: where it is silent, the
device was faster, or is off.

It ends with 0 when all are silent or gone (or, when cancelled, reporting), 3 when
some are not as they should be, and 6 when it is too early to tell of some.`,
		Example: "  offboard verify --campaign retired-laptops",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.verify(cmd, &f) },
	}
	fs := cmd.Flags()
	f.bindReading(fs)
	fs.BoolVar(&f.verbose, "verbose", false, "list every machine, not only those that are not as they should be")
	return cmd
}

func (a *app) verify(cmd *cobra.Command, f *verifyFlags) error {
	if err := f.validateReading(); err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{ReadOnly: true}, false)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := chooseCampaign(s.journal, f.campaign, journal.Accepted, journal.Succeeded)
	if err != nil {
		return err
	}
	if err := s.openLists(); err != nil {
		return err
	}
	machines, err := s.directory.Verify(ctx, c.Entries())
	if err != nil {
		return unreadable(err, "verify")
	}
	v := newVerification(c.Info().Name, s.journal.Path(), machines)
	a.notice.verified(v)
	if f.output == "json" {
		err = json.NewEncoder(a.env.stdout).Encode(v)
	} else {
		err = v.write(a.table(), f.verbose)
	}
	if err != nil {
		return err
	}
	return outcomeError(exitCode(v.ExitCode), nil)
}

// verification is what verify prints with --output json.
type verification struct {
	Campaign   string                 `json:"campaign"`
	Journal    string                 `json:"journal"`
	VerifiedAt time.Time              `json:"verified_at"`
	Counts     map[runner.Finding]int `json:"counts"`
	Machines   []runner.Verified      `json:"machines"`
	ExitCode   int                    `json:"exit_code"`
}

// findings are in the order in which they are counted out.
var findings = []struct {
	finding runner.Finding
	words   string
}{
	{runner.Silent, "silent"},
	{runner.Gone, "gone"},
	{runner.TooEarly, "offboarded too lately to tell"},
	{runner.Reporting, "still reporting"},
	{runner.Returned, "back under a new id"},
}

func newVerification(campaign, path string, machines []runner.Verified) verification {
	v := verification{
		Campaign: campaign, Journal: path, VerifiedAt: time.Now().UTC().Truncate(time.Second),
		Counts: map[runner.Finding]int{}, Machines: append([]runner.Verified{}, machines...),
	}
	for _, f := range findings {
		v.Counts[f.finding] = 0
	}
	code := exitOK
	for _, m := range machines {
		v.Counts[m.Finding]++
		switch {
		case m.Finding == runner.TooEarly:
			code = graver(code, exitBudget)
		case !m.Good():
			code = graver(code, exitRejected)
		}
	}
	v.ExitCode = int(code)
	return v
}

func (v verification) write(machines *table, all bool) error {
	for _, m := range v.Machines {
		if m.Good() && !all {
			continue
		}
		seen := "not in the inventory"
		if !m.LastSeen.IsZero() {
			seen = "last seen " + m.LastSeen.UTC().Format(time.RFC3339)
		}
		cells := []string{m.MachineID, strconv.Quote(m.Name), string(m.Finding), "offboarded " + m.Offboarded.UTC().Format(time.RFC3339), seen}
		if m.State == journal.Cancelled {
			cells = append(cells, "cancelled")
		}
		if m.NewID != "" {
			cells = append(cells, "now "+m.NewID)
		}
		machines.row(cells...)
	}
	if err := machines.flush(); err != nil {
		return err
	}
	var parts []string
	for _, f := range findings {
		if n := v.Counts[f.finding]; n > 0 {
			parts = append(parts, grouped(n)+" "+f.words)
		}
	}
	if len(parts) == 0 {
		parts = []string{"none was sent"}
	}
	_, err := fmt.Fprintf(machines.w, "Campaign %s, %s that were sent: %s.\n", v.Campaign, plural(len(v.Machines), "machine"), strings.Join(parts, "; "))
	return err
}
