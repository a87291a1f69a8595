package runner

import (
	"offboard/defender"
	"offboard/journal"
)

// Drift is what has become different about a planned machine since its plan
// was made, and bears on the decision to send it.
type Drift struct {
	MachineID string `json:"machine_id"`
	Name      string `json:"name"`
	Reason    string `json:"reason"`
}

// Found is what is found of a planned machine when its plan is carried out.
type Found struct {
	Record *defender.Machine       // nil: not seen in the inventory
	Rule   string                  // why the plan's rules leave it out now, "" if they do not
	Live   *journal.Live           // what the journal has of it beside the plan's own work
	Action *defender.MachineAction // that stands in the tenant
	// IncludeNotOnboarded: the plan takes machines without a sensor.
	IncludeNotOnboarded bool
}

// DriftFrom says why a machine that was planned to be sent must not be, "" if
// nothing bears on it. known is nil if the inventory did not show the machine
// when the plan was made; pages slide, so that one which still is not shown has
// not drifted.
func DriftFrom(known *Facts, now Found) string {
	switch {
	case now.Live != nil:
		return now.Live.State.String() + " meanwhile, by campaign " + now.Live.Campaign
	case now.Action != nil:
		return "offboarded meanwhile: the tenant has an action for it (" + now.Action.Status + ")"
	case known != nil && now.Record == nil:
		return "gone: not seen in the inventory"
	case now.Rule != "":
		return now.Rule
	case now.Record == nil:
		return ""
	case lostSensor(known, *now.Record) && !now.IncludeNotOnboarded:
		return "no longer onboarded: " + now.Record.OnboardingStatus
	case now.Record.MergedIntoMachineID != "" && (known == nil || known.MergedInto != now.Record.MergedIntoMachineID):
		return "merged meanwhile into " + now.Record.MergedIntoMachineID
	}
	return ""
}

func lostSensor(known *Facts, m defender.Machine) bool {
	return known != nil && known.Onboarding == defender.Onboarded && m.OnboardingStatus != defender.Onboarded
}
