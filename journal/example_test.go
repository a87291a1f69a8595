package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"offboard/journal"
)

const (
	reception = "3c6ef36200000000000000000000000000000001"
	warehouse = "9e3779b100000000000000000000000000000002"
)

// newExample opens a journal in a directory that cleanUp removes again.
func newExample() (j *journal.Journal, cleanUp func()) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	clock := func() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }
	j, err = journal.Open(filepath.Join(dir, "contoso.journal"), contoso, journal.Options{Now: clock})
	if err != nil {
		panic(err)
	}
	return j, func() {
		_ = j.Close()
		_ = os.RemoveAll(dir)
	}
}

func twoMachines() journal.Enlistment {
	return journal.Enlistment{Columns: []string{"owner"}, Machines: slices.Values([]journal.Machine{
		{ID: reception, Name: "reception", Carried: []string{"anna"}},
		{ID: warehouse, Name: "warehouse", Carried: []string{"ben"}},
	})}
}

// An attempt is recorded before its request is sent, and its outcome before the
// machine counts.
func Example() {
	j, cleanUp := newExample()
	defer cleanUp()
	c, err := j.StartCampaign(journal.Info{Name: "spring", Comment: "retired"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Enlist(twoMachines()); err != nil {
		fmt.Println(err)
		return
	}

	attempt, err := c.Begin(reception, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("send attempt %d: %s\n", attempt.Number, attempt.Comment)
	action := journal.Action{ID: "5382f7ea", Status: "Pending", Raw: []byte(`{"id":"5382f7ea"}`)}
	if err := c.Accept(reception, action, journal.Ours); err != nil {
		fmt.Println(err)
		return
	}

	counts, err := c.Counts()
	fmt.Println(counts.Of(journal.Accepted), "accepted,", counts.Of(journal.Planned), "planned", err)
	// Output:
	// send attempt 1: retired
	// 1 accepted, 1 planned <nil>
}

// A machine that one campaign has offboarded no other sends again.
func ExampleCampaign_Begin() {
	j, cleanUp := newExample()
	defer cleanUp()
	for _, name := range []string{"spring", "summer"} {
		c, _ := j.StartCampaign(journal.Info{Name: name})
		_, _ = c.Enlist(twoMachines())
	}
	spring, _ := j.Campaign("spring")
	_, _ = spring.Begin(reception, 1)
	_ = spring.Accept(reception, journal.Action{ID: "5382f7ea", Status: "Succeeded"}, journal.Ours)

	summer, _ := j.Campaign("summer")
	_, err := summer.Begin(reception, 2)
	var detail *journal.Error
	if errors.Is(err, journal.ErrSettled) && errors.As(err, &detail) {
		fmt.Println(detail.From, "by", detail.By, "at", detail.At)
	}
	// Output:
	// succeeded by spring at 2026-03-02 09:00:00 +0000 UTC
}

// The new list wins: the warehouse left it and is not sent any more.
func ExampleCampaign_Enlist() {
	j, cleanUp := newExample()
	defer cleanUp()
	c, _ := j.StartCampaign(journal.Info{Name: "spring"})
	first, _ := c.Enlist(twoMachines())
	second, _ := c.Enlist(journal.Enlistment{Machines: slices.Values([]journal.Machine{{ID: reception, Name: "front desk"}})})
	fmt.Printf("%+v\n%+v\n", first, second)
	for e, err := range c.Entries() {
		fmt.Println(e.Name, e.State, e.Reason, err)
	}
	// Output:
	// {Added:2 Refreshed:0 Excluded:0 Returned:0 Unchanged:0}
	// {Added:0 Refreshed:1 Excluded:1 Returned:0 Unchanged:0}
	// front desk planned  <nil>
	// warehouse excluded no longer on the list <nil>
}

// What was under way when a process ended is in doubt until somebody looks.
func ExampleJournal_Recover() {
	j, cleanUp := newExample()
	defer cleanUp()
	c, _ := j.StartCampaign(journal.Info{Name: "spring"})
	_, _ = c.Enlist(twoMachines())
	_, _ = c.Begin(warehouse, 1)

	doubts, err := j.Recover()
	for _, e := range doubts {
		fmt.Println(e.Name, e.State, e.Failure.Message, err)
	}
	fmt.Println(c.Verdict(warehouse, false, "no action in the portal", "anna"))
	e, _ := c.Entry(warehouse)
	fmt.Println(e.State)
	// Output:
	// warehouse in_doubt process ended during the request <nil>
	// <nil>
	// planned
}
