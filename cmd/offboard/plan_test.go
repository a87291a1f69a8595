package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"offboard/internal/simulator"
)

// driftCommand changes machines of the tenant behind a plan's back:
//
//	drift [gone=MACHINE] [act=MACHINE] [merged=MACHINE] [discovered=MACHINE] [tag=MACHINE] [group=MACHINE] [server=MACHINE] [seen=MACHINE]
func driftCommand(ts *testscript.TestScript, _ bool, args []string) {
	sim := tenantOf(ts).sim
	all := sim.Machines()
	for _, arg := range args {
		what, number, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(number)
		ts.Check(err)
		m := all[n]
		switch what {
		case "gone":
			sim.RemoveMachine(m.ID)
			continue
		case "act":
			sim.Act(m.ID, "by hand")
			continue
		case "merged":
			m.MergedIntoMachineID = strings.Repeat("a", 40)
		case "discovered":
			m.OnboardingStatus = "CanBeOnboarded"
		case "group":
			m.RBACGroupName = "Elsewhere"
		case "server":
			m.OSPlatform = "WindowsServer2022"
		case "seen":
			m.LastSeen = time.Now()
		case "tag":
			m.MachineTags = append(m.MachineTags, "Keep")
		case "allow":
			m.Refuse = ""
		default:
			ts.Fatalf("unknown drift %q", what)
		}
		sim.AddMachine(m)
	}
}

// TestPlanExpires: an expired plan begins nothing, and goes on with what it has
// begun.
func TestPlanExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualTenant(t, simulator.Config{Machines: 4, Seed: 1})
		defer v.close()
		kept := func(campaign string) string {
			path := filepath.Join(v.dir, campaign+".json")
			if code, _, stderr := v.run(t.Context(), "plan", v.list, "--campaign", campaign, "--comment", "why", "--include-servers", "-o", path); code != exitOK {
				t.Fatalf("plan: %d: %s", code, stderr)
			}
			return path
		}
		begun, late := kept("begun"), kept("late")
		if code, _, stderr := v.run(t.Context(), "run", "--plan", begun, "--yes", "--max-calls", "1"); code != exitBudget {
			t.Fatalf("run: %d: %s", code, stderr)
		}
		<-time.After(25 * time.Hour)
		if code, _, stderr := v.run(t.Context(), "run", "--plan", late, "--yes"); code != exitGuard || !strings.Contains(stderr, "expired") {
			t.Errorf("an expired plan: %d: %s", code, stderr)
		}
		if code, _, stderr := v.run(t.Context(), "run", "--plan", begun, "--yes"); code != exitOK {
			t.Errorf("a begun one: %d: %s", code, stderr)
		}
	})
}

// TestApprovalOfAnotherAccount: names and owners of the files both count.
func TestApprovalOfAnotherAccount(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.json")
	k := planFile{Schema: planSchema, MadeBy: "ann@here", Campaign: "c", TenantID: "t", ExpiresAt: time.Now().Add(time.Hour)}
	sum, err := k.write(path)
	if err != nil {
		t.Fatal(err)
	}
	approve := func(who string, of owner) error { _, _, err := approve(path, sum, who, of); return err }
	apart := func(p string) (string, error) { return p, nil }
	if err := approve("ANN@there", apart); codeOf(err) != exitGuard {
		t.Errorf("by the maker: %v", err)
	}
	if err := approve("bob@here", func(string) (string, error) { return "7", nil }); codeOf(err) != exitGuard {
		t.Errorf("by the owner: %v", err)
	}
	if _, err := readApproval(path, k, sum, apart); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without: %v", err)
	}
	if err := approve("bob@here", apart); err != nil {
		t.Errorf("by another: %v", err)
	}
	if g, err := readApproval(path, k, sum, apart); err != nil || g.Approver != "bob@here" || g.PlanSHA256 != sum {
		t.Errorf("read: %+v, %v", g, err)
	}

	// What was changed since is another plan.
	k.Comment = "another"
	changed, err := k.write(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readApproval(path, k, changed, apart); codeOf(err) != exitGuard {
		t.Errorf("changed since: %v", err)
	}
	if err := approve("bob@here", apart); codeOf(err) != exitGuard {
		t.Errorf("with the hash of the one before: %v", err)
	}
	k.ExpiresAt = time.Now().Add(-time.Hour)
	if sum, err = k.write(path); err != nil {
		t.Fatal(err)
	}
	if err := approve("bob@here", apart); codeOf(err) != exitGuard || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired: %v", err)
	}
}
