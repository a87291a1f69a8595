package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"offboard/internal/simulator"
)

// A client that loses an answer and sends again finds the action in progress; had the tenant let the
// second request through, the test that watches it would have failed.
func Example() {
	s := simulator.New(simulator.Config{
		Machines: 3,
		Faults:   []simulator.Fault{{Kind: simulator.DropAfter, Nth: 1}},
	})
	pipe := simulator.NewPipe(s)
	defer pipe.Close()
	client := http.Client{Transport: &http.Transport{DialContext: pipe.DialContext}}

	machine := s.Machines()[0]
	for range 2 {
		r, err := http.NewRequest(http.MethodPost, "http://tenant/api/machines/"+machine.ID+"/offboard", strings.NewReader(`{"Comment":"retired"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+s.IssueToken(simulator.TokenOptions{}))
		resp, err := client.Do(r)
		if err != nil {
			fmt.Println("no answer")
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	machines, effects := s.Effects()
	fmt.Println(machines, "machine,", effects, "effect,", len(s.Violations()), "violations")
	// Output:
	// no answer
	// 400 Bad Request
	// 1 machine, 1 effect, 0 violations
}

func BenchmarkOffboard(b *testing.B) {
	s := simulator.New(simulator.Config{Machines: b.N, PerMinute: -1, PerHour: -1}).Watch(b)
	c, m := newClient(s), s.Machines()
	b.ResetTimer()
	for i := range b.N {
		if a := c.offboard(m[i].ID); a.status != http.StatusCreated {
			b.Fatalf("status %d", a.status)
		}
	}
}

func BenchmarkListActions(b *testing.B) {
	s := simulator.New(simulator.Config{Machines: 10_000, PerMinute: -1, PerHour: -1}).Watch(b)
	c := newClient(s)
	for _, m := range s.Machines() {
		c.offboard(m.ID)
	}
	target := "/api/machineactions" + listed("type eq 'Offboard' and machineId eq '"+s.Machines()[7].ID+"'")
	for b.Loop() {
		if n := c.get(target); n.status != http.StatusOK {
			b.Fatalf("status %d", n.status)
		}
	}
}
