package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"offboard/defender"
	"offboard/input"
	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

type planFlags struct {
	runFlags
	out, validFor                    string
	fromInventory, detailed, verbose bool
}

func (a *app) planCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan LIST | --from-inventory",
		Short: "Show what a run would do, and keep it as a plan",
		Long: `Shows on one page what a run of the list would do to which machines, for whoever
decides about it, and sends nothing. With -o it writes the plan to a file, which
'offboard run --plan' carries out as it is: the same machines, comment and
rules, and never one more.

The inventory's pages slide while they are read: a machine that it does not show
is said to be not seen.`,
		Example: `  offboard plan retired.csv --comment "CHG-4711 retired laptops" -o plan.json
  offboard plan --from-inventory --campaign stale --only-inactive 90d --comment "CHG-4712 stale"`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.planOnly(cmd, args, &f) },
	}
	fs := cmd.Flags()
	f.bindReading(fs)
	f.bindList(fs)
	f.guardFlags.bind(fs)
	f.waveFlags.bind(fs)
	f.bindNewJournal(fs)
	fs.Lookup("output").Usage = "result on stdout as `text`, json, csv or markdown"
	fs.StringVarP(&f.out, "out", "o", "", "write the plan to this `file`")
	fs.StringVar(&f.validFor, "valid-for", "24h", "how long the plan may be begun, such as 36h or 7d; 30d at most")
	fs.BoolVar(&f.fromInventory, "from-inventory", false, "plan for all machines of the tenant that pass the rules; needs --campaign, and --max where no rule chooses")
	fs.BoolVar(&f.detailed, "detailed-exitcode", false, "end with 11 when there is work to do")
	fs.BoolVar(&f.verbose, "verbose", false, "list every machine")
	cmd.AddCommand(a.approveCommand())
	return cmd
}

func (f *planFlags) validity() (time.Duration, error) {
	d, err := parseDays(f.validFor)
	if err == nil && (d <= 0 || d > 30*24*time.Hour) {
		err = usageError("--valid-for %s is not above 0 and at most 30d", f.validFor)
	}
	return d, err
}

func (f *planFlags) validatePlan(args []string) error {
	_, err := f.validity()
	if !slices.Contains([]string{"text", "json", "csv", "markdown"}, f.output) {
		err = errors.Join(err, usageError("--output %q is not text, json, csv or markdown", f.output))
	}
	err = errors.Join(err, f.validateConnection(), f.validateRetryFor(), f.listFlags.validate(), f.guardFlags.validate(), f.waveFlags.validate())
	switch {
	case f.fromInventory == (len(args) == 1) || len(args) > 1:
		return errors.Join(err, usageError("give either a list or --from-inventory"))
	case f.fromInventory && f.campaign == "":
		return errors.Join(err, usageError("--from-inventory needs --campaign"))
	case f.fromInventory && f.max == 0 && !f.choose():
		return errors.Join(err, guardError("give --max N, or a rule that chooses machines", "--from-inventory without a rule is the whole tenant"))
	case f.campaign == "":
		f.campaign = runner.CampaignName(args[0])
	}
	return errors.Join(err, runner.ValidateCampaignName(f.campaign))
}

// choose says whether a rule takes only machines of some kind.
func (f *guardFlags) choose() bool {
	return len(f.requireTags)+len(f.os)+len(f.groups) > 0 || f.onlyInactive != ""
}

func (a *app) planOnly(cmd *cobra.Command, args []string, f *planFlags) error {
	ctx := cmd.Context()
	if err := f.validatePlan(args); err != nil {
		return err
	}
	f.survey = true
	if path := a.env.getenv("OFFBOARD_PROTECTED"); path != "" {
		f.exclude = append(f.exclude, path) // it becomes part of the plan
	}
	var list *input.List
	var err error
	if !f.fromInventory {
		if list, err = a.readList(ctx, args[0], &f.listFlags); err != nil {
			return err
		}
	}
	s, err := a.open(ctx, &f.campaignFlags, journal.Options{ReadOnly: true}, true)
	if err != nil {
		return err
	}
	defer s.close()
	if f.fromInventory {
		if list, err = s.inventoryList(ctx, f); err != nil {
			return err
		}
	}
	p, err := s.plan(ctx, list, &f.runFlags)
	if err != nil {
		return err
	}
	return s.show(cmd, list, p, f)
}

// show prints the plan and keeps it, unless a guard refuses it.
func (s *session) show(cmd *cobra.Command, list *input.List, p plan, f *planFlags) error {
	if err := s.openCalls(limiter.ReadLedger); err != nil {
		return err
	}
	k, err := s.makePlan(list, p, f)
	if err != nil {
		return err
	}
	r := s.report(k, list, p)
	r.width = s.app.width()
	refused := p.check(list, &f.runFlags)
	if refused == nil && f.out != "" {
		if r.SHA256, err = k.write(f.out); err != nil {
			return err
		}
		r.Run = runPlanCommand(cmd, f.out, r.SHA256)
	}
	if err := r.write(s.app.env.stdout, f.output, f.verbose); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	if f.detailed && len(k.Machines) > 0 {
		return outcomeError(exitWork, nil)
	}
	return nil
}

// runPlanCommand is the exact command that carries the plan out.
func runPlanCommand(cmd *cobra.Command, path, sum string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	var takes pflag.FlagSet
	(&connectionFlags{}).bind(&takes)
	(&quotaFlags{}).bind(&takes)
	(&configFlags{}).bind(&takes)
	args := []string{"offboard", "run", "--plan", path, "--plan-sha256", sum}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if (takes.Lookup(f.Name) != nil || f.Name == "journal") && originOf(f).kind != fromFile {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return commandLine(args...)
}

// inventoryList makes a list of all that the tenant has.
func (s *session) inventoryList(ctx context.Context, f *planFlags) (*input.List, error) {
	if err := s.openLists(); err != nil {
		return nil, err
	}
	all, err := s.directory.ReadInventory(ctx, func(defender.Machine) bool { return true })
	if err != nil {
		return nil, unreadable(err, "plan --from-inventory")
	}
	s.inventory = &all
	list := &input.List{Path: "the inventory"}
	var rows []input.Machine
	for _, m := range all.Records {
		row := input.Machine{ID: m.ID, Name: m.ComputerDNSName}
		if m.OnboardingStatus != defender.Onboarded && !f.includeNotOnboarded || m.MergedIntoMachineID != "" {
			list.NotOnboarded = append(list.NotOnboarded, row)
		} else {
			rows = append(rows, row)
		}
	}
	for _, rows := range [][]input.Machine{rows, list.NotOnboarded} {
		slices.SortFunc(rows, func(a, b input.Machine) int { return strings.Compare(a.ID, b.ID) })
	}
	list.Machines = input.MachinesOf(rows...)
	list.Rows = len(all.Records)
	return list, nil
}
