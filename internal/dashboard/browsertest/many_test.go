package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"offboard/internal/simulator"
)

// TestHundredThousandMachines measures how soon a page with 100,000 machines is
// there, finds some and sorts all; first of a run and then of the journal that it
// leaves.
func TestHundredThousandMachines(t *testing.T) {
	t.Parallel()
	const machines = 100_000
	c := newCampaign(t, simulator.Config{Machines: 1, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1})
	var list strings.Builder
	list.WriteString("id,name,owner,site\n")
	for i := range machines {
		fmt.Fprintf(&list, "%040x,host-%06d.fleet.example,owner %d,site %d\n", i+1, i+1, i%977, i%7)
	}
	c.write(list.String())
	c.run()
	measured(t, c, "100,000 machines, a run")
	c.gate.let(1000) // what is in flight ends
	if code := c.interrupt(); code != 130 && code != 3 {
		t.Errorf("exit code %d\n%s", code, &c.stderr)
	}
	c.start("status", "--serve", "127.0.0.1:0")
	b := measured(t, c, "100,000 machines, the journal")
	b.says("#status", "Read from the journal")
	b.until("document.querySelector('#controls').hidden")
	b.fill("#words", "host-09870")
	b.says("#shown", "of 10,")
	b.accessible("a journal", "light", "dark")
	if code := c.interrupt(); code != 0 {
		t.Errorf("exit code %d\n%s", code, &c.stderr)
	}
	b.says("#status", "The process has ended")
}

func measured(t *testing.T, c *campaign, what string) *tab {
	t.Helper()
	b := openTab(t, c.link)
	b.until("document.querySelectorAll('#all tbody tr').length === 50")
	// Since the page was asked for, by the browser's own clock.
	paint := js[float64](b, "performance.getEntriesByName('first-contentful-paint')[0].startTime")
	rows := js[float64](b, "performance.getEntriesByType('resource').filter(r => r.name.includes('/api/machines?')).at(-1).responseEnd")
	b.says("#shown", "of 100,000")
	took := func(act func(), shown string) time.Duration {
		act()
		b.says("#all tbody", shown)
		return time.Duration(js[float64](b, "performance.getEntriesByType('resource').filter(r => r.name.includes('/api/machines?')).at(-1).duration") * 1e6).Round(time.Millisecond)
	}
	find := took(func() { b.fill("#words", "host-0987") }, "host-098700")
	b.says("#shown", "of 100")
	sort := took(func() {
		b.fill("#words", "")
		b.says("#all tbody", "host-000001")
		js[bool](b, "(b => { b.click(); b.click(); return true })([...document.querySelectorAll('#all th button')].find(b => b.textContent === 'owner'))")
	}, "owner 99")
	first, table := time.Duration(paint*1e6).Round(time.Millisecond), time.Duration(rows*1e6).Round(time.Millisecond)
	t.Logf("%s: first paint after %s, the table after %s; finding takes %s, sorting by a carried column %s", what, first, table, find, sort)
	for _, d := range []time.Duration{first, table, find, sort} {
		if d > bound || d <= 0 {
			t.Errorf("%s: %s", what, d)
		}
	}
	return b
}
