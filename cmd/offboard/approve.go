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
	var sha256 string
	cmd := &cobra.Command{
		Use:   "approve PLAN",
		Short: "Approve a plan that somebody else has made",
		Long: `Writes PLAN.approval.json, which says who approved the plan with which SHA-256.
'run --plan' reports it and the campaign keeps it; a plan that was changed since
is refused. The account that made the plan cannot approve it: neither by its
name, nor as the owner of both files where the system tells who owns a file. A
plan is written for its owner's eyes alone: let the other account read it, and
write beside it.

It is a record, and no signature. Whoever can become another account, give a file
to one, or write into the plan's directory can make one; whoever keeps the plan's
SHA-256 elsewhere, as in the ticket, and gives it to --plan-sha256 depends on
none of them.`,
		Example: `  offboard plan approve plan.json
  offboard plan approve plan.json --plan-sha256 3f9a...`,
		Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, given, err := approve(args[0], sha256, a.env.approver(), a.env.owner)
			if err == nil {
				_, err = fmt.Fprintf(a.env.stdout, "Approved by %s: campaign %q, %s to be sent, made by %s, expires %s.\nSHA-256 %s\n",
					given.Approver, k.Campaign, plural(len(k.Machines), "machine"), k.MadeBy, k.ExpiresAt.Format(time.RFC3339), given.PlanSHA256)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&sha256, "plan-sha256", "", "refuse any plan but the one with this `hash`")
	return cmd
}

// owner names the account that a file belongs to, "" where that is not known.
type owner func(path string) (string, error)

// approve records that an account agrees to a plan; want, if not empty, is the
// hash that it has to have.
func approve(path, want, who string, of owner) (planFile, approval, error) {
	k, sum, err := readPlan(path)
	if err != nil {
		return k, approval{}, err
	}
	g := approval{PlanSHA256: sum, Approver: who, At: time.Now().UTC().Truncate(time.Second)}
	if err := meant(path, sum, want); err != nil {
		return k, g, err
	}
	if g.At.After(k.ExpiresAt) {
		return k, g, guardError("plan again", "the plan has expired at %s", k.ExpiresAt.Format(time.RFC3339))
	}
	if err := byAnother(k, g); err != nil {
		return k, g, err
	}
	return k, g, g.write(path, of)
}

// byAnother refuses an approval by whoever made the plan, and by nobody.
func byAnother(k planFile, g approval) error {
	if g.Approver == "" || sameAccount(k.MadeBy, g.Approver) {
		return guardError("have another account approve it", "%s made the plan and cannot approve it", k.MadeBy)
	}
	return nil
}

// write keeps the approval beside the plan.
func (g approval) write(path string, of owner) error {
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := replaceFile(approvalPath(path), append(b, '\n')); err != nil {
		return err
	}
	// The maker has to be able to read it; it is no secret.
	if err := os.Chmod(approvalPath(path), 0o644); err != nil { //nolint:gosec // see above
		return err
	}
	if err := differentOwners(path, of); err != nil {
		return errors.Join(err, os.Remove(approvalPath(path)))
	}
	return nil
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

// maxApproval bounds an approval in bytes.
const maxApproval = 1 << 16

// readApproval returns the approval of the plan that was read, with its hash, from
// a path. Without one the error is [fs.ErrNotExist]; one that is of another plan,
// or not by another account, is refused.
func readApproval(planPath string, k planFile, sum string, of owner) (approval, error) {
	var g approval
	b, err := readUpTo(approvalPath(planPath), maxApproval)
	if errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		return g, usageError("%s is no approval: %w", approvalPath(planPath), err)
	}
	if !strings.EqualFold(sum, g.PlanSHA256) {
		return g, guardError("have the plan approved, or remove the approval", "%s approves another plan", approvalPath(planPath))
	}
	if err := byAnother(k, g); err != nil {
		return g, err
	}
	return g, differentOwners(planPath, of)
}
