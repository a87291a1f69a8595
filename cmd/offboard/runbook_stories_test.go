package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"time"

	"offboard/internal/simulator"
)

// fleet is a tenant for the runbook: what is on answers in a third of a second
// and acts within minutes.
func fleet(machines int) simulator.Config {
	return simulator.Config{Machines: machines, Seed: 1, Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond, SettleAfter: 5 * time.Minute}
}

// stories are what each part of the runbook is told on.
var stories = map[string]story{
	"Retired laptops of a ticket": {
		tenant: fleet(400),
		prepare: func(r *reader) {
			r.change(func(i int, m *simulator.Machine) { m.OSPlatform, m.Offline = "Windows11", i%10 == 0 })
			r.keepList("retired.csv", 150)
		},
		end: func(r *reader) { r.offboarded(150) },
	},
	"Servers of many owners, site by site": {
		tenant: fleet(200),
		prepare: func(r *reader) {
			r.change(func(_ int, m *simulator.Machine) { m.OSPlatform = "WindowsServer2022" })
			r.keepList("servers.csv", 60)
			r.keep("keep.txt", r.sim.Machines()[7].ID+"\n")
		},
		end: func(r *reader) { r.offboarded(59) },
	},
	"A business unit on a Friday evening": {
		tenant: fleet(300),
		prepare: func(r *reader) {
			for _, i := range []int{100, 200, 250} {
				m := r.sim.Machines()[i]
				m.Failing = true
				r.sim.AddMachine(m)
				r.sim.Authorise(m.ID, 2)
			}
			r.keepList("unit.csv", 300)
		},
		repair: func(r *reader) {
			r.change(func(_ int, m *simulator.Machine) { m.Failing = false })
		},
		end: func(r *reader) {
			if n, effects := r.sim.Effects(); n != 300 || effects != 303 {
				r.t.Errorf("%d machines by %d actions", n, effects)
			}
		},
	},
	"Stale devices, every night": {
		tenant: fleet(200),
		prepare: func(r *reader) {
			// Ten are stale on the first night, three more become so before the second,
			// and seven that bear the tag are in use.
			r.change(func(i int, m *simulator.Machine) {
				m.OSPlatform = "Windows10"
				switch {
				case i < 10:
					m.Offline, m.LastSeen = true, time.Now().AddDate(0, 0, -100)
				case i < 13:
					m.Offline, m.LastSeen = true, time.Now().AddDate(0, 0, -87).Add(-12*time.Hour)
				}
				if i < 20 {
					m.MachineTags = []string{"Stale"}
				}
			})
		},
		end: func(r *reader) { r.offboarded(13) },
	},
	"The journal is locked": {
		tenant:  fleet(250),
		prepare: func(r *reader) { r.beginRun(exitTerminated) },
		end:     func(r *reader) { r.offboarded(250) },
	},
	"In doubt": {
		tenant:  lostAnswer(fleet(3)),
		prepare: func(r *reader) { r.doubted() },
		end:     func(r *reader) { r.offboarded(3) },
	},
	"In doubt for good": {
		tenant: func() simulator.Config {
			c := lostAnswer(fleet(3))
			c.Roles = []string{"Machine.Offboard"}
			return c
		}(),
		prepare: func(r *reader) {
			r.doubted("--new-journal")
			for id, m := range r.sim.Truth().Machines {
				if m.Requests > 0 {
					r.variables["MACHINE_ID"] = id
				}
			}
		},
		end: func(r *reader) { r.offboarded(3) },
	},
	"The service throttles": {
		tenant:  fleet(250),
		prepare: func(r *reader) { r.beginRun(exitTerminated) },
		end:     func(r *reader) { r.offboarded(250) },
	},
	"The sign-in fails": {
		tenant: fleet(20),
		prepare: func(r *reader) {
			r.ran(exitBudget, "--max-calls", "5")
			r.sim.RevokeTokens()
		},
		repair: func(r *reader) { r.env["OFFBOARD_TOKEN"] = r.sim.IssueToken(simulator.TokenOptions{}) },
		end:    func(r *reader) { r.offboarded(20) },
	},
	"The journal is damaged": {
		tenant: fleet(20),
		prepare: func(r *reader) {
			r.ran(exitOK)
			r.damage()
		},
		end: func(r *reader) { r.offboarded(20) },
	},
	"The list was wrong": {
		tenant: func() simulator.Config { c := fleet(400); c.SettleAfter = 100 * time.Second; return c }(),
		prepare: func(r *reader) {
			r.beginRun(exitTerminated)
			<-time.After(2 * time.Minute)
		},
		end: func(r *reader) {
			done := 0
			for _, m := range r.sim.Truth().Machines {
				if m.Done {
					done++
				}
			}
			if n, _ := r.sim.Effects(); n == 400 || done == 0 || done == n {
				r.t.Errorf("%d machines were asked for, and %d had done it", n, done)
			}
		},
	},
	"Send again": {
		tenant: func() simulator.Config { c := fleet(20); c.Failing = 0.3; return c }(),
		prepare: func(r *reader) {
			r.keepList("retired.csv", 20)
			r.list = r.path("retired.csv")
			r.ran(exitOK)
			<-time.After(time.Hour)
			if code, _, stderr := r.run(r.t.Context(), "follow"); code != exitRejected {
				r.t.Fatalf("follow: %d: %s", code, stderr)
			}
			r.change(func(_ int, m *simulator.Machine) {
				if m.Failing {
					r.sim.Authorise(m.ID, 2)
				}
				m.Failing = false
			})
		},
	},
}

// change changes the tenant's machines.
func (r *reader) change(change func(int, *simulator.Machine)) {
	for i, m := range r.sim.Machines() {
		change(i, &m)
		r.sim.AddMachine(m)
	}
}

func (r *reader) keep(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// keepList writes a list of the tenant's first machines.
func (r *reader) keepList(name string, machines int) {
	r.t.Helper()
	if err := writeFile(r.path(name), func(w io.Writer) error { return r.sim.WriteList(w, machines) }); err != nil {
		r.t.Fatal(err)
	}
}

// offboarded looks at what really happened.
func (r *reader) offboarded(machines int) {
	r.t.Helper()
	if n, effects := r.sim.Effects(); n != machines || effects != machines {
		r.t.Errorf("%d machines offboarded by %d actions; want %d", n, effects, machines)
	}
}

func runArgs(list string, more ...string) []string {
	return append([]string{"run", list, "--campaign", "retired", "--comment", "CHG-4711 retired laptops", "--yes", "--include-servers"}, more...)
}

// ran is a run that has ended.
func (r *reader) ran(want exitCode, more ...string) {
	r.t.Helper()
	if code, _, stderr := r.run(r.t.Context(), runArgs(r.list, more...)...); code != want {
		r.t.Fatalf("exit code %d, not %d: %s", code, want, stderr)
	}
}

// beginRun is a run that the runbook's commands find under way.
func (r *reader) beginRun(want exitCode) {
	r.t.Helper()
	r.under = r.begin(runArgs(r.list)...)
	r.step = &step{line: "(the run that was under way)", want: want}
	<-time.After(30 * time.Second)
}

// lostAnswer has the tenant lose the answer of the first request.
func lostAnswer(c simulator.Config) simulator.Config {
	c.Faults = []simulator.Fault{{Kind: simulator.DropAfter, Nth: 1}}
	return c
}

// doubted is a run that was stopped while a machine is in doubt.
func (r *reader) doubted(more ...string) {
	r.t.Helper()
	r.ran(exitInDoubt, append(more, "--workers", "1", "--max-calls", "1")...)
}

// damage spoils the journal.
func (r *reader) damage() {
	r.t.Helper()
	all, err := filepath.Glob(filepath.Join(r.env["OFFBOARD_STATE_DIR"], "*.journal"))
	if err != nil || len(all) != 1 {
		r.t.Fatal(all, err)
	}
	b, err := os.ReadFile(all[0])
	if err != nil {
		r.t.Fatal(err)
	}
	if bytes.Equal(b, spoiled(b)) {
		r.t.Fatal("there was nothing to spoil")
	}
	if err := os.WriteFile(all[0], spoiled(b), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.variables["JOURNAL"] = all[0]
}
