package runner

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"offboard/defender"
)

// ErrCampaignName is returned for a name that cannot stand in a mark.
var ErrCampaignName = errors.New("a campaign name is 1 to 64 letters, digits, dots, hyphens and underscores")

var (
	campaignName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	notInName    = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
)

// ValidateCampaignName returns [ErrCampaignName] for a name that cannot stand
// in a mark.
func ValidateCampaignName(name string) error {
	if !campaignName.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrCampaignName)
	}
	return nil
}

// CampaignName is the name a campaign has by default: its list's base name
// without extensions, everything that a mark cannot hold turned into hyphens.
func CampaignName(listPath string) string {
	base := filepath.Base(filepath.ToSlash(listPath))
	if base == "-" || base == "." {
		return "stdin"
	}
	for _, ext := range []string{".gz", ".csv", ".tsv", ".txt", ".json", ".ndjson", ".jsonl"} {
		if n := len(base) - len(ext); n >= 0 && strings.EqualFold(base[n:], ext) {
			base = base[:n]
		}
	}
	name := strings.Trim(notInName.ReplaceAllString(base, "-"), "-.")
	if len(name) > 64 {
		name = name[:64]
	}
	if name == "" {
		return "campaign"
	}
	return name
}

// Mark begins the comment of every request. The service gives the comment back
// with the action, so a mark tells our attempt from everything else in the
// tenant; it does the work of an idempotency key that the service lacks.
func Mark(campaign string, attempt int) string {
	return fmt.Sprintf("%s%d]", markOf(campaign), attempt)
}

// markOf begins the mark of every attempt of a campaign.
func markOf(campaign string) string { return "[offboard " + campaign + "/" }

// isOurs says whether any attempt of the campaign asked for the action.
func isOurs(a defender.MachineAction, campaign string) bool {
	return strings.HasPrefix(a.RequestorComment, markOf(campaign))
}

// sighting is what a look at a machine's Offboard actions says of one attempt.
type sighting int

const (
	unclear sighting = iota // an action that could be ours, its mark cut short or missing
	absent
	present // an action with the attempt's mark
)

// sight looks for the attempt with this mark among a machine's Offboard
// actions, and returns its action when it is present. Actions recorded before
// the attempt began never count.
func sight(actions []defender.MachineAction, mark string, prior []string) (sighting, defender.MachineAction) {
	seen := absent
	for _, a := range actions {
		if a.Type != defender.TypeOffboard || slices.Contains(prior, a.ID) {
			continue
		}
		switch comment := a.RequestorComment; {
		case strings.HasPrefix(comment, mark):
			return present, a
		case strings.HasPrefix(mark, comment):
			seen = unclear
		}
	}
	return seen, defender.MachineAction{}
}
