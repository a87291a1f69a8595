package main

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"offboard/input"
	"offboard/journal"
	"offboard/runner"
)

// name begins what is said about the policy.
func (p *policy) name() string { return "the policy " + p.Path }

// refuse is the error of a run that the policy does not allow.
func (p *policy) refuse(hint, format string, args ...any) error {
	return guardError(hint, "%s: %w", p.name(), fmt.Errorf(format, args...))
}

// mark is what a campaign keeps of its policy, nil without one.
func (p *policy) mark() *policyMark {
	if p == nil {
		return nil
	}
	return &p.policyMark
}

// judge returns why a machine is not to be sent, "" if it may be.
func (p *policy) judge(r runner.Row, now time.Time) string {
	if p == nil {
		return ""
	}
	why := p.guard.Judge(r, now)
	if why == "" {
		return ""
	}
	return p.name() + ": " + why
}

// needsInventory names the rule that cannot be judged without the inventory, ""
// if none needs it.
func (p *policy) needsInventory() string {
	if p == nil {
		return ""
	}
	rule := p.guard.NeedsInventory()
	if rule == "" && p.maxPercent > 0 {
		rule = "max_percent_of_tenant"
	}
	if rule == "" {
		return ""
	}
	return p.name() + " (" + rule + ")"
}

// lacksColumn refuses a list that does not say what the policy goes by.
func (p *policy) lacksColumn(l *input.List) error {
	if p == nil {
		return nil
	}
	for _, c := range p.guard.Where {
		if !l.HasColumn(c.Column) {
			return p.refuse("give a list that has it; nothing was sent", "the list has no column %s", c.Column)
		}
	}
	return nil
}

// contradicted refuses flags that ask for more than the policy allows. Without
// that they would have no effect, and nobody would be told.
func (p *policy) contradicted(flags rules) error {
	const hint = "leave the flag out, or tighten it; nothing was sent"
	switch {
	case p == nil:
		return nil
	case flags.IncludeServers && !p.guard.IncludeServers:
		return p.refuse(hint, "servers are never sent, and --include-servers is given")
	case p.max > 0 && flags.Max > p.max:
		return p.refuse(hint, "max is %d, and --max %d is more", p.max, flags.Max)
	case p.maxPercent > 0 && flags.MaxPercent > p.maxPercent:
		return p.refuse(hint, "max_percent_of_tenant is %g, and --max-percent-of-tenant %g is more", p.maxPercent, flags.MaxPercent)
	}
	return nil
}

// demands refuses a run without the ticket, the plan or the approval that the
// policy asks for. An approval is one of a plan.
func (p *policy) demands(ticket string, planned, approved bool) error {
	const plan = "make one with 'offboard plan LIST -o plan.json', and run that with --plan; nothing was sent"
	switch {
	case p == nil:
		return nil
	case p.ticket != "" && ticket == "":
		return p.refuse("give --ticket; nothing was sent", "a run needs a ticket that matches %s", p.ticket)
	case p.ticket != "" && !p.isTicket.MatchString(ticket):
		return p.refuse("give the --ticket that the change has; nothing was sent", "the ticket %s does not match %s", ticket, p.ticket)
	case p.requirePlan && !planned:
		return p.refuse(plan, "a run needs a plan")
	case p.requireApproval && planned && !approved:
		return p.refuse("have another account run 'offboard plan approve' on it; nothing was sent", "the plan is not approved")
	case p.requireApproval && !approved:
		return p.refuse(plan, "a run needs a plan that another account has approved")
	}
	return nil
}

// exceeded refuses to send so many machines, those in doubt among them, of a
// tenant of so many.
func (p *policy) exceeded(machines, onboarded int) error {
	const hint = "check the list; nothing was sent"
	switch {
	case p == nil:
		return nil
	case p.max > 0 && machines > p.max:
		return p.refuse(hint, "%s would be sent, with those in doubt, more than max %d allows", plural(machines, "machine"), p.max)
	case p.maxPercent > 0 && moreThan(p.maxPercent, machines, onboarded):
		return p.refuse(hint, "%s would be sent, with those in doubt, of %s onboarded in the tenant: more than max_percent_of_tenant %g allows",
			plural(machines, "machine"), grouped(onboarded), p.maxPercent)
	}
	return nil
}

// unchanged refuses to go on with what another policy has let through.
func (p *policy) unchanged(begun rules) error {
	now := p.mark()
	if reflect.DeepEqual(now, begun.Policy) {
		return nil
	}
	const hint = "run the list again, which judges every machine by the policy of now; nothing was sent"
	switch {
	case begun.Policy == nil:
		return p.refuse(hint, "the campaign's list was let through before there was one")
	case now == nil:
		return guardError(hint, "the policy %s, by which the campaign's list was let through, is gone", begun.Policy.Path)
	}
	return p.refuse(hint, "it, or a list that it names, is not what the campaign's list was let through by (SHA-256 %s)", begun.Policy.SHA256)
}

// samePolicy refuses to resume a campaign under another policy.
func (a *app) samePolicy(ctx context.Context, i journal.Info) error {
	p, err := a.inForce(ctx)
	if err != nil {
		return err
	}
	begun, err := rulesOf(i)
	if err != nil {
		return err
	}
	return p.unchanged(begun)
}

// budget is what flags and policy allow to a run that begins now.
func (a *app) budget(ctx context.Context, f *budgetFlags, now time.Time) (runner.Budget, error) {
	own, err := f.budget(now)
	if err != nil {
		return own, err
	}
	p, err := a.inForce(ctx)
	if p == nil || err != nil {
		return own, err
	}
	b, err := p.bounds.budget(now)
	if err != nil {
		return b, fmt.Errorf("%s: %w", p.name(), err)
	}
	if b.Calls == 0 || own.Calls > 0 && own.Calls < b.Calls {
		b.Calls = own.Calls
	}
	if b.Until.IsZero() || !own.Until.IsZero() && own.Until.Before(b.Until) {
		b.Until = own.Until
	}
	b.Failures, err = p.stricter(b.Failures, own.Failures)
	return b, err
}

// stricter is the limit that stops a run whenever one of the two would.
func (p *policy) stricter(limit, own *runner.FailureLimit) (*runner.FailureLimit, error) {
	switch {
	case limit == nil:
		return own, nil
	case own == nil:
		return limit, nil
	case (limit.Percent > 0) != (own.Percent > 0):
		return nil, p.refuse("give --max-failures as the policy does, or leave it out; nothing was sent",
			"max_failures is %s, which --max-failures cannot be compared with", p.bounds.maxFailures)
	}
	return &runner.FailureLimit{
		Count: min(limit.Count, own.Count), Percent: min(limit.Percent, own.Percent), MinSample: min(limit.MinSample, own.MinSample),
	}, nil
}
