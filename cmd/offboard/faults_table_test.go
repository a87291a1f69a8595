package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"offboard/internal/simulator"
)

// namedFaults is the table of the faults that a whole campaign can undergo in
// virtual time. docs/faults.md has it in words.
func namedFaults(nth int) []namedFault {
	rows := slices.Concat(diskFaults(nth), journalFaults(nth), tokenFaults(nth), networkFaults(nth), answerFaults(nth), stops(nth))
	for i := range rows {
		rows[i].nth = nth
	}
	return rows
}

// standing is what a journal holds when the nth machine was the last to be
// accepted, or is left in another state.
func standing(nth int, state string) map[string]int {
	holds := map[string]int{"accepted": nth - 1, "planned": faultMachines - nth}
	holds[state]++
	return holds
}

// done is what it holds in the end.
var done = map[string]int{"accepted": faultMachines}

func diskFaults(nth int) (rows []namedFault) {
	for name, err := range map[string]error{"disk full": syscall.ENOSPC, "read-only file system": syscall.EROFS, "quota of the disk": syscall.EDQUOT, "write error": syscall.EIO} {
		for when, c := range map[string]struct {
			commits int
			holds   map[string]int
			args    []string
		}{
			// With the quota used up the last outcome is written without the next intent.
			"before the intent":   {1, standing(nth, "accepted"), []string{"--per-minute", strconv.Itoa(nth)}},
			"at the outcome":      {0, standing(nth, "sending"), nil}, // and at the intent that is written with it
			"at the next outcome": {1, standing(nth+1, "sending"), nil},
		} {
			rows = append(rows, namedFault{
				name: name + " " + when,
				then: func(d *disturbed) { d.disk.breaks(err, c.commits) },
				end:  func(d *disturbed) { d.disk.mends() },
				code: exitUnexpected, says: err.Error(), holds: c.holds, args: c.args,
			})
		}
	}
	return append(rows, namedFault{
		name:  "no place for the journal",
		begin: func(d *disturbed) { d.env["OFFBOARD_STATE_DIR"] = filepath.Join(d.list, "state") },
		end:   func(d *disturbed) { d.env["OFFBOARD_STATE_DIR"] = filepath.Join(d.dir, "state") },
		code:  exitUnexpected, says: "journal", again: []string{"run"},
	})
}

// journalOf is the path of a disturbed run's journal.
func (d *disturbed) journalOf() string { return filepath.Join(d.dir, "journal") }

func (d *disturbed) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Error(err)
	}
}

func journalFaults(nth int) []namedFault {
	var before []byte
	inDir := func(d *disturbed) { d.env["OFFBOARD_JOURNAL"] = d.journalOf() }
	rows := []namedFault{{
		name: "somebody else's bbolt file",
		begin: func(d *disturbed) {
			inDir(d)
			db, err := bolt.Open(d.journalOf(), 0o600, &bolt.Options{NoFreelistSync: true})
			d.must(err)
			d.must(db.Update(func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			}))
			d.must(db.Close())
			before, err = os.ReadFile(d.journalOf())
			d.must(err)
		},
		end: func(d *disturbed) {
			after, err := os.ReadFile(d.journalOf())
			d.must(err)
			if !bytes.Equal(before, after) {
				d.t.Error("the file was touched")
			}
			d.must(os.Remove(d.journalOf()))
		},
		code: exitJournal, says: "not a journal", again: []string{"run"},
	}}
	if runtime.GOOS == "windows" {
		return rows // which lets nobody move an open file
	}
	aside := func(d *disturbed) string { return filepath.Join(d.dir, "aside") }
	// The file that was moved holds the last outcome, and the intent that was written
	// with it and is not acted upon.
	return append(rows, namedFault{
		name:  "journal moved while in use",
		begin: inDir,
		then:  func(d *disturbed) { d.must(os.Rename(d.journalOf(), aside(d))) },
		end:   func(d *disturbed) { d.must(os.Rename(aside(d), d.journalOf())) },
		code:  exitJournal, says: "the journal is not where it was", holds: standing(nth+1, "sending"),
	}, namedFault{
		name:  "journal replaced while in use",
		begin: inDir,
		then: func(d *disturbed) {
			text, err := os.ReadFile(d.journalOf())
			d.must(err)
			d.must(os.Rename(d.journalOf(), aside(d)))
			d.must(os.WriteFile(d.journalOf(), text, 0o600))
		},
		end:  func(d *disturbed) { d.must(os.Rename(aside(d), d.journalOf())) },
		code: exitJournal, says: "the journal is not where it was", holds: standing(nth+1, "sending"),
	}, namedFault{
		name:  "journal deleted while in use",
		begin: inDir,
		then:  func(d *disturbed) { d.must(os.Remove(d.journalOf())) },
		code:  exitJournal, says: "the tenant's action list", again: []string{"run"},
	})
}

func tokenFaults(nth int) []namedFault {
	fresh := func(d *disturbed) {
		d.env["OFFBOARD_TOKEN"] = d.sim.IssueToken(simulator.TokenOptions{Life: 100 * time.Hour})
	}
	token := func(o simulator.TokenOptions) func(*disturbed) {
		return func(d *disturbed) { d.env["OFFBOARD_TOKEN"] = d.sim.IssueToken(o) }
	}
	return []namedFault{{
		name: "token revoked", then: func(d *disturbed) { d.sim.RevokeTokens() }, end: fresh,
		code: exitSignIn, says: "obtain a new token", holds: standing(nth, "accepted"),
	}, {
		name: "token refused for ever", sim: []simulator.Fault{{Kind: simulator.ExpireToken, Nth: nth + 1}}, end: fresh,
		code: exitSignIn, says: "obtain a new token", holds: standing(nth, "accepted"),
	}, {
		name: "token has expired", begin: token(simulator.TokenOptions{Life: -time.Hour}), end: fresh,
		code: exitSignIn, says: "expired", again: []string{"run"},
	}, {
		name: "token for another tenant", begin: token(simulator.TokenOptions{TenantID: "00000000-0000-0000-0000-00000000000f"}), end: fresh,
		code: exitSignIn, says: "tenant", again: []string{"run"},
	}, {
		name: "token for another API", begin: token(simulator.TokenOptions{Audience: "https://graph.microsoft.com"}), end: fresh,
		code: exitSignIn, says: "graph.microsoft.com", again: []string{"run"},
	}, {
		name: "token is no JWT", begin: func(d *disturbed) { d.env["OFFBOARD_TOKEN"] = "opaque-and-unknown" }, end: fresh,
		code: exitSignIn, says: "refused", again: []string{"run"},
	}, {
		name: "token renewed by somebody else",
		begin: func(d *disturbed) {
			file := filepath.Join(d.dir, "token")
			write := func() {
				d.must(os.WriteFile(file, []byte(d.sim.IssueToken(simulator.TokenOptions{Life: time.Hour})), 0o600))
			}
			write()
			delete(d.env, "OFFBOARD_TOKEN")
			d.env["OFFBOARD_TOKEN_FILE"] = file
			d.renew = write
		},
		then: func(d *disturbed) { d.sim.RevokeTokens(); d.renew() },
		code: exitOK, says: "6 accepted", holds: done,
	}}
}

func networkFaults(nth int) (rows []namedFault) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	noName := &net.DNSError{Err: "no such host", Name: "api.invalid", IsNotFound: true}
	for name, err := range map[string]error{
		"no DNS": dial(noName), "no file descriptors": dial(syscall.EMFILE), "connection refused": dial(syscall.ECONNREFUSED), "no network": dial(syscall.ENETUNREACH),
	} {
		rows = append(rows, namedFault{
			name: name + " for ever",
			then: func(d *disturbed) { d.setDial(err) },
			end:  func(d *disturbed) { d.setDial(nil) },
			code: exitUnreachable, says: "could not be reached", holds: standing(nth, "accepted"),
		}, namedFault{
			name: name + " for a while",
			then: func(d *disturbed) {
				d.setDial(err)
				time.AfterFunc(10*time.Minute, func() { d.setDial(nil) })
			},
			code: exitOK, says: err.Error(), holds: done,
		}, namedFault{
			name:  name + " from the start",
			begin: func(d *disturbed) { d.setDial(err) },
			end:   func(d *disturbed) { d.setDial(nil) },
			code:  exitUnreachable, says: "could not be reached", again: []string{"run"},
		})
	}
	return append(rows, namedFault{
		name: "certificate of nobody's",
		then: func(d *disturbed) { d.setDial(x509.UnknownAuthorityError{}) },
		end:  func(d *disturbed) { d.setDial(nil) },
		code: exitSignIn, says: "--ca-file", holds: standing(nth, "accepted"),
	}, namedFault{
		name: "asleep for hours without a network",
		then: func(d *disturbed) {
			d.setDial(dial(syscall.ENETUNREACH))
			time.AfterFunc(9*time.Hour, func() { d.setDial(nil) })
		},
		args: []string{"--retry-for", "24h"},
		code: exitOK, says: "6 accepted", holds: done,
	}, namedFault{
		name: "clock of the token passes while asleep",
		begin: func(d *disturbed) {
			d.env["OFFBOARD_TOKEN"] = d.sim.IssueToken(simulator.TokenOptions{Life: time.Hour})
		},
		then: func(d *disturbed) {
			d.setDial(dial(syscall.ENETUNREACH))
			time.AfterFunc(9*time.Hour, func() { d.setDial(nil) })
		},
		end: func(d *disturbed) {
			d.env["OFFBOARD_TOKEN"] = d.sim.IssueToken(simulator.TokenOptions{Life: time.Hour})
		},
		args: []string{"--retry-for", "24h"},
		code: exitSignIn, says: "obtain a new token", holds: standing(nth, "accepted"),
	})
}

// answerFaults leave the nth machine, or seven, in doubt until the action list has
// shown what became of them.
func answerFaults(nth int) (rows []namedFault) {
	for _, f := range []simulator.Fault{
		{Kind: simulator.DropBefore}, {Kind: simulator.DropAfter},
		{Kind: simulator.StatusBefore, Status: 408}, {Kind: simulator.StatusAfter, Status: 408},
		{Kind: simulator.StatusBefore, Status: 500}, {Kind: simulator.StatusAfter, Status: 500},
		{Kind: simulator.StatusBefore}, {Kind: simulator.StatusAfter},
		{Kind: simulator.SlowBefore, Delay: 50 * time.Second}, {Kind: simulator.SlowAfter, Delay: 10 * time.Minute},
		{Kind: simulator.LateApply, Delay: 50 * time.Second},
		{Kind: simulator.Garbage}, {Kind: simulator.Truncated}, {Kind: simulator.WrongMachine}, {Kind: simulator.NoID},
		{Kind: simulator.Redirect}, {Kind: simulator.Redirect, Location: "https://elsewhere.invalid/"},
		{Kind: simulator.Drip, Delay: time.Second}, {Kind: simulator.Endless},
		{Kind: simulator.Throttle, Wait: 30 * time.Second, Period: time.Minute},
	} {
		once, storm := f, f
		once.Nth = nth
		storm.Times = 7 // more than are put down to chance
		for times, f := range map[string]simulator.Fault{"once": once, "a storm": storm} {
			rows = append(rows, namedFault{
				name: strings.TrimSpace(fmt.Sprintf("%s %d %s", f.Kind, f.Status, f.Location)) + ", " + times, sim: []simulator.Fault{f},
				code: exitOK, says: "6 accepted", holds: done,
			})
		}
	}
	return rows
}

// stops end the run in order: what is in flight is finished, and nothing begun.
func stops(nth int) (rows []namedFault) {
	// The answer leaves when the stop has reached everybody.
	stop := func(d *disturbed, cause error) {
		d.stop(cause)
		<-time.After(time.Millisecond)
	}
	for _, c := range []struct {
		signal syscall.Signal
		code   exitCode
	}{{syscall.SIGINT, exitInterrupted}, {syscall.SIGTERM, exitTerminated}, {syscall.SIGHUP, exitTerminated}} {
		rows = append(rows, namedFault{
			name: c.signal.String(),
			then: func(d *disturbed) { stop(d, interruption{c.signal}) },
			code: c.code, says: "offboard resume --campaign machines", holds: standing(nth, "accepted"),
		})
	}
	return append(rows, namedFault{
		name: "a signal and a full disk",
		then: func(d *disturbed) {
			stop(d, interruption{syscall.SIGTERM})
			d.disk.breaks(syscall.ENOSPC, 0)
		},
		end:  func(d *disturbed) { d.disk.mends() },
		code: exitUnexpected, says: syscall.ENOSPC.Error(), holds: standing(nth, "sending"),
	}, namedFault{
		name: "a deadline",
		then: func(d *disturbed) { stop(d, context.DeadlineExceeded) },
		code: exitUnexpected, says: "deadline", holds: standing(nth, "accepted"),
	})
}
