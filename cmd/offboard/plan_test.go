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
//	drift [gone=MACHINE] [act=MACHINE] [merged=MACHINE] [discovered=MACHINE] [tag=MACHINE]
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
	sum, err := planFile{Schema: planSchema, MadeBy: "ann@here", Campaign: "c", TenantID: "t"}.write(path)
	if err != nil {
		t.Fatal(err)
	}
	apart := func(p string) (string, error) { return p, nil }
	if _, err := approve(path, "ANN@there", apart); codeOf(err) != exitGuard {
		t.Errorf("by the maker: %v", err)
	}
	if _, err := approve(path, "bob@here", func(string) (string, error) { return "7", nil }); codeOf(err) != exitGuard {
		t.Errorf("by the owner: %v", err)
	}
	if _, err := readApprovalOf(path, apart); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without: %v", err)
	}
	if g, err := approve(path, "bob@here", apart); err != nil || g.PlanSHA256 != sum {
		t.Errorf("by another: %+v, %v", g, err)
	}
	if g, err := readApprovalOf(path, apart); err != nil || g.Approver != "bob@here" {
		t.Errorf("read: %+v, %v", g, err)
	}
}
