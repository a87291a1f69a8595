package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// approval says that somebody else has agreed to a plan. It stands beside the
// plan, whose hash stays what the ticket says.
type approval struct {
	PlanSHA256 string    `json:"plan_sha256"`
	Approver   string    `json:"approver"` // account@host
	At         time.Time `json:"at"`
}

func approvalPath(planPath string) string { return planPath + ".approval.json" }

func (a *app) approveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approve PLAN",
		Short: "Approve a plan that somebody else has made",
		Long: `Writes PLAN.approval.json, which 'run --plan' reports and the campaign keeps. The
account that made the plan cannot approve it, by name and by the owner of the
files.

An approval is as good as the accounts of the host: whoever can become another
account, or give a file to one, can approve for it.`,
		Example: "  offboard plan approve plan.json",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			who, err := approve(args[0], operator(), fileOwner)
			if err == nil {
				_, err = fmt.Fprintf(a.env.stdout, "Plan %s approved by %s.\n", who.PlanSHA256, who.Approver)
			}
			return err
		},
	}
}

// owner names the account that a file belongs to, "" where that is not known.
type owner func(path string) (string, error)

// approve records that an account agrees to a plan.
func approve(path, who string, of owner) (approval, error) {
	k, sum, err := readPlan(path)
	if err != nil {
		return approval{}, err
	}
	g := approval{PlanSHA256: sum, Approver: who, At: time.Now().UTC().Truncate(time.Second)}
	if sameAccount(k.MadeBy, who) {
		return g, guardError("have another account approve it", "%s made the plan and cannot approve it", k.MadeBy)
	}
	b, err := json.Marshal(g)
	if err != nil {
		return g, err
	}
	if err := replaceFile(approvalPath(path), append(b, '\n')); err != nil {
		return g, err
	}
	// The maker has to be able to read it; it is no secret.
	if err := os.Chmod(approvalPath(path), 0o644); err != nil { //nolint:gosec // see above
		return g, err
	}
	if err := differentOwners(path, of); err != nil {
		return g, errors.Join(err, os.Remove(approvalPath(path)))
	}
	return g, nil
}

// sameAccount compares account@host by the account, whatever the host: a plan
// may be carried from one to another.
func sameAccount(a, b string) bool {
	account := func(s string) string { return s[:max(0, strings.LastIndexByte(s, '@'))] }
	return strings.EqualFold(account(a), account(b))
}

// differentOwners refuses an approval whose file belongs to the plan's owner.
func differentOwners(path string, of owner) error {
	plan, err := of(path)
	if err != nil {
		return err
	}
	given, err := of(approvalPath(path))
	if err != nil {
		return err
	}
	if plan != "" && plan == given {
		return guardError("have another account approve it", "the approval of %s belongs to the account that owns the plan", path)
	}
	return nil
}

// readApproval returns the approval of a plan. Without one the error is
// [fs.ErrNotExist]; one that is not for this plan, or not by another account, is
// refused.
func readApproval(planPath string) (approval, error) { return readApprovalOf(planPath, fileOwner) }

func readApprovalOf(planPath string, of owner) (approval, error) {
	var g approval
	b, err := os.ReadFile(approvalPath(planPath))
	if errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		return g, usageError("%s is no approval: %w", approvalPath(planPath), err)
	}
	k, sum, err := readPlan(planPath)
	switch {
	case err != nil:
		return g, err
	case !strings.EqualFold(sum, g.PlanSHA256):
		return g, guardError("have the plan approved, or remove the approval", "%s approves another plan", approvalPath(planPath))
	case g.Approver == "" || sameAccount(k.MadeBy, g.Approver):
		return g, guardError("have another account approve it", "%s made the plan and cannot approve it", k.MadeBy)
	}
	return g, differentOwners(planPath, of)
}
