package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"offboard/internal/proof"
	"offboard/journal"
)

const sector = 512 // bytes that a disk writes whole or not at all

// TestPowerLoss makes images of the disk as power cuts could leave it, one or
// more for every prefix of the writes: of those since the last sync each is lost,
// on disk, or torn by sectors. On every image the journal opens, passes the
// check, has all that was acknowledged and, once recovered, lets no machine be
// begun again whose intent was acknowledged.
//
// The negative control is the same with the syncs taken away, as if the engine
// ran without them: then acknowledged intents are lost, and machines sent twice.
//
// What the model cannot show: a disk that says it has synced and has not; sectors
// that rot, or are neither old nor new; the file system's own records, such as
// a name in its directory or a length (the file is given the length that was
// asked for, which the engine syncs before it writes there); and syncs that are
// missing where the engine's protocol has them, since not the syncs are recorded
// but the writes, between which the protocol says where they are.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	tape := recordWrites(t, proof.Cases(28, 120))
	images := proof.Cases(250, 2500)
	if images <= len(tape.writes) {
		t.Errorf("%d images for %d prefixes", images, len(tape.writes)+1)
	}
	seen, faults := judgeImages(t, tape, images, true)
	without, _ := judgeImages(t, tape, proof.Cases(24, 100), false)
	t.Logf("%d writes; with syncs %v, without %v", len(tape.writes), seen, without)
	caught := 0
	if without["twice"] > 0 {
		caught = 1
	}
	proof.Report(t, proof.Row{
		Promise: proof.AtMostOnce, Harness: "power loss", Cases: images, Faults: faults,
		Violations: images - seen["whole"], Controls: 1, Caught: caught,
	})
}

// tape is the disk as it was and every write that followed.
type tape struct {
	start  []byte
	writes []diskWrite
}

// diskWrite is one write of the engine, as the power-loss test keeps it.
type diskWrite struct {
	data []byte
	off  int64
	acks int // changes that were acknowledged before it
}

// isMeta: bbolt ends a commit with the write of one of the two meta pages, and
// syncs before and after it.
func (w diskWrite) isMeta() bool { return w.off < 2*int64(os.Getpagesize()) }

// recordWrites carries out commits and returns what they wrote: of each machine
// an intent, and of most an outcome.
func recordWrites(t *testing.T, commits int) (tp tape) {
	t.Helper()
	path := journalPath(t)
	j, err := journal.Open(path, contoso, journal.Options{Now: newClock().Now})
	must(t, err)
	defer j.Close()
	if !journal.Syncs(j) {
		t.Fatal("the engine is told not to sync")
	}
	c := started(t, j, "spring", machines(commits/2))
	tp.start, err = os.ReadFile(path)
	must(t, err)
	acks := 0
	journal.InterceptWrites(j, func(write journal.WriteAt) journal.WriteAt {
		return func(b []byte, off int64) (int, error) {
			tp.writes = append(tp.writes, diskWrite{slices.Clone(b), off, acks})
			return write(b, off)
		}
	})
	for ; acks < commits; acks++ {
		must(t, change(c, acks))
	}
	return tp
}

// change carries out the n-th change of a tape, and outcome is what it leads to.
func change(c *journal.Campaign, n int) error {
	machine := id(n / 2)
	switch outcome(n) {
	case journal.Sending:
		_, err := c.Begin(machine, 7)
		return err
	case journal.InDoubt:
		return c.Doubt(machine, journal.Failure{Reason: journal.ReasonUnknown})
	default:
		return c.Accept(machine, pending("a"), journal.Ours)
	}
}

func outcome(n int) journal.State {
	return []journal.State{journal.Sending, journal.Accepted, journal.Sending, journal.InDoubt}[n%4]
}

// judgeImages makes images of the disk and has a child judge them, since without
// syncs the engine may fault or loop. It adds up what the child says, and the
// writes that were lost or torn.
func judgeImages(t *testing.T, tp tape, images int, synced bool) (seen map[string]int, faults int) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	seen = map[string]int{}
	for first := 0; first < images; first += 100 {
		dir := t.TempDir()
		acks := make([]int, min(100, images-first))
		for n := range acks {
			// Without syncs the end tells most: all is acknowledged, and nothing
			// certain.
			cut := len(tp.writes)
			if synced {
				cut = (first + n) % (len(tp.writes) + 1)
			}
			disk, lost := tp.cut(random, cut, synced)
			acks[n] = tp.acknowledged(cut)
			faults += lost
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), disk, 0o600))
		}
		told, err := json.Marshal(acks)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "acks"), told, 0o600))
		judged := map[string]int{}
		for count(judged) < len(acks) {
			if runReader(t, "power", dir, count(judged), judged) == 0 {
				judged["died"]++
			}
		}
		for word, n := range judged {
			seen[word] += n
		}
		must(t, os.RemoveAll(dir)) // they are too many to be kept
	}
	return seen, faults
}

// acknowledged is how many changes the writer had been told of for certain when
// the power went before the given write.
func (tp tape) acknowledged(cut int) int {
	if cut == 0 {
		return 0
	}
	return tp.writes[cut-1].acks
}

// cut builds the disk after a power cut before the given write, and says how
// many writes were lost or torn.
func (tp tape) cut(random *rand.Rand, cut int, synced bool) (disk []byte, lost int) {
	certain := 0 // writes before this one are on disk
	for i := range cut {
		if tp.writes[i].isMeta() && synced {
			certain = i // the sync before a meta page
			if i+1 < cut {
				certain = i + 1 // the sync after it, without which nothing more is written
			}
		}
	}
	// Every other time the disk writes in order until it stops.
	inOrder, stop := random.IntN(2) == 0, certain+random.IntN(cut-certain+1)
	disk = slices.Clone(tp.start)
	for i, w := range tp.writes[:cut] {
		if need := int(w.off) + len(w.data); need > len(disk) {
			disk = append(disk, make([]byte, need-len(disk))...)
		}
		landed := i < certain || inOrder && i < stop || !inOrder && random.IntN(3) == 0
		torn := !landed && (inOrder && i == stop || !inOrder && random.IntN(2) == 0)
		for at := 0; at < len(w.data); at += sector {
			if landed || torn && random.IntN(2) == 0 {
				copy(disk[int(w.off)+at:], w.data[at:min(at+sector, len(w.data))])
			}
		}
		if !landed {
			lost++
		}
	}
	return disk, lost
}

// judgeAll is the child: it judges the images of a directory from the first on.
func judgeAll(argument string) {
	var dir string
	var first int
	_, _ = fmt.Sscan(argument, &dir, &first)
	var acks []int
	told, err := os.ReadFile(filepath.Join(dir, "acks"))
	if err == nil {
		err = json.Unmarshal(told, &acks)
	}
	if err != nil {
		fmt.Fprintln(os.Stdout, "wrong", err)
		return
	}
	for n := first; n < len(acks); n++ {
		fmt.Fprintln(os.Stdout, judgePowerLoss(filepath.Join(dir, fmt.Sprint(n)), acks[n]))
	}
}

// judgePowerLoss is the child's word on an image on which so many changes were
// acknowledged.
func judgePowerLoss(path string, acks int) string {
	j, err := journal.Open(path, contoso, journal.Options{Now: newClock().Now})
	if err != nil {
		return "refused " + err.Error()
	}
	defer j.Close()
	c, err := j.Campaign("spring")
	if err != nil {
		return "lost " + err.Error()
	}
	if _, err := j.Check(context.Background()); err != nil {
		return "refused " + err.Error()
	}
	lost := ""
	for n := range acks {
		intent := n%2 == 0
		if intent && n+1 < acks {
			continue // its outcome was acknowledged too
		}
		e, err := c.Entry(id(n / 2))
		expected := e.State == outcome(n) || intent && e.State == outcome(n+1)
		if err != nil || !expected {
			lost = fmt.Sprintf("lost machine %d is %s, %v", n/2, e.State, err)
		}
	}
	if word := sendAgain(j, c, acks); word != "whole" || lost == "" {
		return word
	}
	return lost
}

// sendAgain goes on as a run does: it recovers, and tries every machine whose
// intent was acknowledged.
func sendAgain(j *journal.Journal, c *journal.Campaign, acks int) string {
	if _, err := j.Recover(); err != nil {
		return "refused " + err.Error()
	}
	for n := 0; n < acks; n += 2 {
		if _, err := c.Begin(id(n/2), 8); err == nil {
			return "twice " + id(n/2)
		} else if !errors.Is(err, journal.ErrInDoubt) && !errors.Is(err, journal.ErrSettled) {
			return "refused " + err.Error()
		}
	}
	return "whole"
}
