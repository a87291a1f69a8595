package main

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offboard/journal"
)

type resumeFlags struct {
	campaignFlags
	reportFlag
	dashboardFlags
	metricsFlags
	approveWave int
}

func (a *app) resumeCommand() *cobra.Command {
	var f resumeFlags
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Go on with an interrupted campaign",
		Long: `Goes on with a campaign where it was interrupted. The list is in the journal.
With several open campaigns --campaign says which.`,
		Example: "  offboard resume\n  offboard resume --campaign retired-laptops",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.resume(cmd, &f) },
	}
	f.campaignFlags.bind(cmd.Flags())
	f.reportFlag.bind(cmd.Flags())
	f.dashboardFlags.bind(cmd.Flags())
	f.metricsFlags.bind(cmd.Flags())
	cmd.Flags().IntVar(&f.approveWave, "approve-wave", 0, "let wave `N`, the next one, begin as soon as the one before has ended, whatever else it waits for")
	return cmd
}

func (a *app) resume(cmd *cobra.Command, f *resumeFlags) error {
	if err := errors.Join(a.measure("resume", &f.campaignFlags, &f.metricsFlags, &f.dashboardFlags), f.campaignFlags.validate(), f.reportFlag.validate()); err != nil {
		return err
	}
	if _, err := a.budget(cmd.Context(), &f.budgetFlags, time.Now()); err != nil {
		return err
	}
	s, err := a.open(cmd.Context(), &f.campaignFlags, journal.Options{}, false)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.pageAt(cmd.Context(), &f.dashboardFlags); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	c, err := chooseCampaign(s.journal, f.campaign, unfinished...)
	if err != nil {
		return err
	}
	if err := refuseAborted(c.Info()); err != nil {
		return err
	}
	if err := a.samePolicy(cmd.Context(), c.Info()); err != nil {
		return err
	}
	if !c.Info().Enlisted {
		return usageError("the list of campaign %q was not read to its end; run it again with the list", c.Info().Name)
	}
	if cmd.Flags().Changed("approve-wave") {
		if err := approveWave(c, f.approveWave); err != nil {
			return err
		}
	}
	s.reportTo, s.given.Overrides = f.report, overridesOf(cmd.Flags())
	return s.carryOut(cmd.Context(), c, resumeCommand(cmd, c.Info().Name, s.journal.Path()))
}

// unfinished are the states in which a machine is left to send or to settle.
var unfinished = []journal.State{journal.Planned, journal.Sending, journal.InDoubt}

// chooseCampaign finds the campaign by name or, without one, the only campaign
// that is open: the only one with a machine in these states. If none has, it is
// the newest.
func chooseCampaign(j *journal.Journal, name string, states ...journal.State) (*journal.Campaign, error) {
	if name != "" {
		return j.Campaign(name)
	}
	all, err := j.Campaigns()
	if err != nil {
		return nil, err
	}
	var open []*journal.Campaign
	for _, info := range all {
		c, err := j.Campaign(info.Name)
		if err != nil {
			return nil, err
		}
		counts, err := c.Counts()
		if err != nil {
			return nil, err
		}
		r, err := rulesOf(info)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(states, func(st journal.State) bool {
			return counts.Of(st) > 0 && (st != journal.Planned || r.Aborted == nil) // nobody will send them
		}) {
			open = append(open, c)
		}
	}
	switch {
	case len(open) == 1:
		return open[0], nil
	case len(all) == 0:
		return nil, noCampaign(j)
	case len(open) == 0:
		// Nothing is left to do: the newest one says so.
		newest := slices.MaxFunc(all, func(a, b journal.Info) int { return a.Created.Compare(b.Created) })
		return j.Campaign(newest.Name)
	default:
		return nil, &commandError{
			code: exitUsage, hint: "give --campaign NAME",
			err: errors.New(severalCampaigns(open)),
		}
	}
}

func noCampaign(j *journal.Journal) error {
	return usageError("the journal %s holds no campaign; start one with 'offboard run LIST'", j.Path())
}

func severalCampaigns(open []*journal.Campaign) string {
	names := make([]string, len(open))
	for i, c := range open {
		names[i] = c.Info().Name
	}
	return "several campaigns are open: " + strings.Join(names, ", ")
}
