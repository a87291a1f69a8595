package journal_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"offboard/journal"
)

// Roles of the test binary when it is run again as a child.
const (
	roleVariable = "OFFBOARD_JOURNAL_TEST_ROLE"
	pathVariable = "OFFBOARD_JOURNAL_TEST_PATH"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "worker":
		work(os.Getenv(pathVariable))
	case "reader":
		readDamaged(os.Getenv(pathVariable))
	case "salvager":
		salvageAll(os.Getenv(pathVariable))
	case "power":
		judgeAll(os.Getenv(pathVariable))
	default:
		m.Run()
	}
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, pathVariable+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

const workers, crashMachines = 4, 4000

// work opens or creates the journal, takes the list if that was not done, and
// sends machine after machine, saying so on standard output once it is on disk.
func work(path string) {
	j, err := journal.Open(path, contoso, journal.Options{})
	if err == nil {
		_, err = j.Recover()
	}
	var c *journal.Campaign
	if err == nil {
		if c, err = j.Campaign("crash"); errors.Is(err, journal.ErrNoCampaign) {
			c, err = j.StartCampaign(journal.Info{Name: "crash"})
		}
	}
	if err == nil {
		_, err = c.Enlist(enlistment(machines(crashMachines)))
	}
	if err != nil {
		fmt.Fprintln(os.Stdout, "error", err)
		return
	}
	fmt.Fprintln(os.Stdout, "open 0 0")
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { workOn(c, w) })
	}
	group.Wait()
}

func workOn(c *journal.Campaign, w int) {
	for n := w; n < crashMachines; n += workers {
		a, err := c.Begin(id(n), uint64(n))
		if errors.Is(err, journal.ErrSettled) || errors.Is(err, journal.ErrInDoubt) {
			continue
		}
		if err != nil {
			fmt.Fprintln(os.Stdout, "error", err)
			return
		}
		fmt.Fprintln(os.Stdout, "sending", n, a.Number)
		if err := c.Accept(id(n), pending("a"+strconv.Itoa(n)), journal.Ours); err != nil {
			fmt.Fprintln(os.Stdout, "error", err)
			return
		}
		fmt.Fprintln(os.Stdout, "accepted", n, a.Number)
	}
}

// TestKill kills a writing process again and again, some times while it creates
// the journal or takes its list. Whatever it said is on disk.
func TestKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills 30 processes")
	}
	random := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "contoso.journal")
	said := map[int]string{}
	total := 0
	for kill := range 30 {
		if kill%6 == 0 {
			path, said = filepath.Join(t.TempDir(), "contoso.journal"), map[int]string{}
		}
		total += killOnce(t, path, random.IntN(1+40*(kill%6)), said)
		compareSaid(t, path, said)
	}
	t.Logf("30 kills, %d acknowledged changes, all found again", total)
	if total == 0 {
		t.Error("no child got as far as a change")
	}
}

// killOnce kills a worker after it has acknowledged some changes.
func killOnce(t *testing.T, path string, after int, said map[int]string) int {
	t.Helper()
	cmd := child(t, "worker", path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if after == 0 {
		must(t, cmd.Process.Kill())
	}
	lines := 0
	for scanner := bufio.NewScanner(out); scanner.Scan(); lines++ {
		words := strings.Fields(scanner.Text())
		if words[0] == "error" || len(words) != 3 {
			t.Errorf("child: %q", words)
			continue
		}
		if words[0] != "open" {
			n, err := strconv.Atoi(words[1])
			must(t, err)
			said[n] = words[0]
		}
		if lines == after {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	return lines
}

// compareSaid opens the journal, if there is one, and finds all that was said.
func compareSaid(t *testing.T, path string, said map[int]string) {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && len(said) == 0 {
		return
	}
	mustCheck(t, path)
	j, err := journal.Open(path, contoso, journal.Options{ReadOnly: true})
	must(t, err)
	defer j.Close()
	c, err := j.Campaign("crash")
	if err != nil && len(said) == 0 {
		return
	}
	must(t, err)
	for n, word := range said {
		e := entry(t, c, id(n))
		if word == "accepted" && e.State != journal.Accepted || !e.State.Live() || e.Attempts != 1 {
			t.Errorf("machine %d was acknowledged as %s and is %s after %d attempts", n, word, e.State, e.Attempts)
		}
	}
}
