package runner_test

import (
	"fmt"
	"time"

	"offboard/internal/simulator"
	"offboard/journal"
	"offboard/runner"
)

// settling is one machine that goes into doubt, or nearly, and what has to
// become of it.
type settling struct {
	name   string
	tenant simulator.Config
	faults []simulator.Fault
	before func(*trial) // the first process
	during func(*trial) // at the moment that the first request arrives
	after  func(*trial) // at the moment that it is answered, or would be
	fail   func(since time.Duration, k kind) form
	stops  []time.Duration // after how long processes are stopped that come before the others
	ahead  []time.Duration // by which the wall clocks of these, and then of the others, are ahead
	weaken func(*runner.Config)

	state             journal.State
	origin            journal.Origin
	effects, requests int           // somebody else's effects included
	apart             time.Duration // between two requests, at least
}

// doubtful is what is done with a request.
func doubtful(k simulator.Kind, delay time.Duration) []simulator.Fault {
	return []simulator.Fault{{Kind: k, Nth: 1, Delay: delay}}
}

// theirs lets somebody else offboard the machine.
func theirs(tr *trial) { tr.sim.Act(tr.list[0], "by another host") }

// theirsCancelled lets somebody else offboard it and think better of it.
func theirsCancelled(tr *trial) {
	tr.sim.Cancel(tr.sim.Act(tr.list[0], "by another host"), "wrong one")
}

// within limits a form to a span of time for looks.
func within(from, to time.Duration, f form) func(time.Duration, kind) form {
	return func(since time.Duration, k kind) form {
		if k == look && since >= from && since < to {
			return f
		}
		return ""
	}
}

// settlings returns the table. Where nothing else is said, the machine is
// accepted by our own action.
func settlings() []settling {
	var (
		lost    = doubtful(simulator.DropAfter, 0)
		dropped = doubtful(simulator.DropBefore, 0)
		late    = doubtful(simulator.LateApply, time.Minute)
		ends    = simulator.Config{SettleAfter: time.Second}
		fails   = simulator.Config{SettleAfter: time.Second, Failing: 1}
		wait    = runner.DefaultSettleWait
		hours   = []time.Duration{5 * time.Hour, -5 * time.Hour, 0}
	)
	lag := func(d time.Duration) simulator.Config { return simulator.Config{ListLag: d} }
	return []settling{
		{name: "nothing arrived", faults: dropped, requests: 2, apart: wait},
		{name: "nothing arrived, the list lags", tenant: lag(4 * time.Minute), faults: dropped, requests: 2, apart: wait},
		{name: "it arrived", faults: lost},
		{name: "it arrived, the list lags by seconds", tenant: lag(10 * time.Second), faults: lost},
		{name: "it arrived, the list lags by minutes", tenant: lag(wait - time.Second), faults: lost},
		{name: "a minute late", faults: late},
		{name: "a minute late, the list lags by the rest of the wait", tenant: lag(wait - time.Minute - time.Second), faults: late},
		{name: "a minute after we gave up", faults: doubtful(simulator.SlowBefore, 89*time.Second)},
		{name: "answered after we gave up", faults: doubtful(simulator.SlowAfter, 40*time.Second)},
		{name: "applied, 503", faults: doubtful(simulator.StatusAfter, 0)},
		{name: "not applied, 503", faults: doubtful(simulator.StatusBefore, 0), requests: 2, apart: wait},
		{name: "an answer without an id", faults: doubtful(simulator.NoID, 0)},
		{name: "an answer for another machine", faults: doubtful(simulator.WrongMachine, 0)},
		{name: "half an answer", faults: doubtful(simulator.Truncated, 0)},

		{name: "theirs before, pending", before: theirs, origin: journal.Adopted, requests: -1},
		{name: "theirs before, succeeded", tenant: ends, before: aMinuteAgo(theirs), state: journal.Succeeded, origin: journal.Adopted, requests: -1},
		{name: "theirs before, failed", tenant: fails, before: aMinuteAgo(theirs), faults: dropped, effects: 2, requests: 2, apart: wait},
		{name: "theirs before, cancelled", before: theirsCancelled, faults: dropped, effects: 2, requests: 2, apart: wait},
		{name: "theirs before, cancelled; ours arrived", before: theirsCancelled, faults: lost, effects: 2},
		{name: "theirs meanwhile, pending", during: theirs, faults: dropped, origin: journal.Adopted},
		{name: "theirs meanwhile, the list lags", tenant: lag(time.Minute), during: theirs, faults: dropped, origin: journal.Adopted},
		{name: "theirs meanwhile, succeeded", tenant: ends, during: theirs, faults: dropped, state: journal.Succeeded, origin: journal.Adopted},
		{name: "theirs meanwhile, failed", tenant: fails, during: theirs, faults: dropped, effects: 2, requests: 2, apart: wait},
		{name: "theirs meanwhile, cancelled", during: theirsCancelled, faults: dropped, effects: 2, requests: 2, apart: wait},
		{name: "theirs meanwhile, and ours", during: theirs, faults: lost, effects: 2},
		{name: "theirs after ours", after: theirs, faults: lost, effects: 2},
		{name: "theirs is answered to us", tenant: simulator.Config{ReturnActive: 1}, during: theirs, origin: journal.Adopted},

		{name: "ours was cancelled", faults: lost, after: cancelled, state: journal.Cancelled},
		{name: "ours has failed", tenant: fails, faults: lost, state: journal.Failed},
		{name: "an attempt of ours from a lost journal, pending", before: forgotten, origin: journal.Adopted, requests: -1},
		{name: "an attempt of ours from a lost journal, cancelled", before: cancelledAfter(forgotten), faults: dropped, effects: 2, requests: 2, apart: wait},
		{name: "an attempt of ours that was believed to be lost", faults: []simulator.Fault{
			{Kind: simulator.LateApply, Nth: 1, Delay: 7 * time.Minute}, {Kind: simulator.DropBefore, Nth: 2},
		}, requests: 2, apart: wait},

		{name: "no comment, pending", tenant: simulator.Config{CommentLimit: -1}, faults: lost, origin: journal.Adopted},
		{name: "half a mark, pending", tenant: simulator.Config{CommentLimit: 5}, faults: lost, origin: journal.Adopted},
		{name: "a mark without its attempt, pending", tenant: simulator.Config{CommentLimit: 12}, faults: lost},
		{name: "no comment, failed", tenant: cut(fails, -1), faults: lost, state: journal.InDoubt},
		{name: "half a mark, failed", tenant: cut(fails, 5), faults: lost, state: journal.InDoubt},
		{name: "a mark without its attempt, failed", tenant: cut(fails, 12), faults: lost, state: journal.InDoubt},
		{name: "only the mark", tenant: cut(fails, len("[offboard c/1]")), faults: lost, state: journal.Failed},

		{name: "clocks are off, it arrived", faults: lost, stops: []time.Duration{2 * time.Second, 3 * time.Second}, ahead: hours},
		{name: "clocks are off, nothing arrived", faults: dropped, stops: []time.Duration{3 * time.Minute, time.Minute}, ahead: hours, requests: 2, apart: wait + 4*time.Minute},
		{name: "clocks are off, a minute late", tenant: lag(wait - time.Minute - time.Second), faults: late, stops: []time.Duration{10 * time.Second}, ahead: hours},
		{name: "stopped between the looks", faults: dropped, stops: []time.Duration{4 * time.Minute, wait - time.Second}, requests: 2, apart: 2*wait + 4*time.Minute - time.Second},

		{name: "forbidden midway, it arrived", tenant: lag(30 * time.Second), faults: lost, fail: within(30*time.Second, 62*time.Second, forbidden)},
		{name: "forbidden midway, nothing arrived", faults: dropped, fail: within(30*time.Second, 62*time.Second, forbidden), requests: 2, apart: wait + time.Minute},
		{name: "out of reach for a while, it arrived", faults: lost, fail: within(time.Second, time.Minute, notApplied)},
		{name: "out of reach for a while, nothing arrived", faults: dropped, fail: within(time.Second, 3*time.Minute, notApplied), requests: 2, apart: wait},
		{name: "out of reach when it matters", faults: dropped, fail: within(wait-time.Minute, wait+time.Minute, notApplied), requests: 2, apart: wait},
	}
}

func cut(c simulator.Config, limit int) simulator.Config {
	c.CommentLimit = limit
	return c
}

func aMinuteAgo(act func(*trial)) func(*trial) {
	return func(tr *trial) {
		act(tr)
		<-time.After(time.Minute)
	}
}

// forgotten is the first attempt of a campaign of this name whose journal is lost.
func forgotten(tr *trial) { tr.sim.Act(tr.list[0], runner.Mark("c", 1)+" why") }

func cancelledAfter(act func(*trial)) func(*trial) {
	return func(tr *trial) {
		act(tr)
		cancelled(tr)
	}
}

// cancelled lets somebody cancel whatever is under way on the machine.
func cancelled(tr *trial) {
	for _, id := range tr.sim.Truth().Machines[tr.list[0]].ActionIDs {
		tr.sim.Cancel(id, "wrong one")
	}
}

// refused are the cases of a service that refuses a second action while there
// is one under way.
func refused() []settling {
	var all []settling
	for _, lag := range []time.Duration{0, time.Minute, 9 * time.Minute} {
		all = append(all, settling{
			name: fmt.Sprintf("theirs is in our way, the list lags by %s", lag), tenant: simulator.Config{ListLag: lag},
			during: theirs, origin: journal.Adopted,
		})
	}
	return all
}

// careful are the cases that show that the harness has teeth: settling without
// waiting, and each of the assumptions broken.
func careful() []settling {
	hasty := func(c *runner.Config) { c.SettleWait = time.Millisecond }
	return []settling{
		{name: "no wait, a minute late", faults: doubtful(simulator.LateApply, time.Minute), weaken: hasty},
		{name: "no wait, the list lags", tenant: simulator.Config{ListLag: 10 * time.Second}, faults: doubtful(simulator.DropAfter, 0), weaken: hasty},
		{name: "ten minutes late", faults: doubtful(simulator.LateApply, 10*time.Minute)},
		{name: "the list lags by more than the wait", tenant: simulator.Config{ListLag: 10 * time.Minute}, faults: doubtful(simulator.DropAfter, 0)},
	}
}
