package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"offboard/internal/simulator"
)

const hostile = `<img src=x onerror=window.hacked=1>`

// TestLivePage looks at a campaign while it runs, and pauses and stops it.
func TestLivePage(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, simulator.Config{
		Machines: 300, Seed: 1, PerMinute: -1, PerHour: -1, SettleAfter: -1, ListLag: 1e15, // no action shows up: a doubt stays one
		Faults: []simulator.Fault{{Kind: simulator.DropAfter, Nth: 5}, {Kind: simulator.Throttle, Nth: 12, Wait: 1e9, Period: 60e9}},
	})
	var list strings.Builder
	if err := c.sim.WriteList(&list, 0); err != nil {
		t.Fatal(err)
	}
	c.write(strings.Replace(list.String(), "host-00003.fleet.example,", hostile+",", 1))
	c.run("--per-minute", "100000", "--per-hour", "100000")
	b := openTab(t, c.link)

	t.Log("it renders, and its address has lost the token")
	b.says("h1", "retired-laptops")
	b.fact("Machines", "300")
	b.until("document.querySelectorAll('#charts canvas').length === 2 && document.querySelectorAll('#all tbody tr').length === 50")
	if hash := js[string](b, "location.hash"); hash != "" {
		t.Errorf("the address still has %q", hash)
	}
	if heads := b.text("#all thead"); !strings.Contains(heads, "owner") || !strings.Contains(heads, "MachineAction") {
		t.Errorf("the columns are %q", heads)
	}

	t.Log("it keeps itself current, in two tabs")
	second := openTab(t, c.link)
	second.fact("Machines", "300")
	c.gate.let(22)                        // the fifth is dropped, the twelfth throttled and sent again
	b.fact("Accepted or succeeded", "20") // (6%)
	second.fact("Accepted or succeeded", "20")
	b.fact("In doubt", "1")
	b.until("[...document.querySelectorAll('#states tbody th')].map(h => h.textContent).join() === 'planned,sending,accepted,in doubt'")
	b.fact("Answered 429", "1")
	b.says("#notes", "429")
	b.says("#all tbody", "accepted")

	t.Log("a machine in doubt, by its state's button")
	b.until("[...document.querySelectorAll('#states button')].some(b => b.textContent === 'in doubt' && (b.click(), true))")
	b.until("document.querySelectorAll('#all tbody tr').length === 1 && document.querySelector('#all tbody').textContent.includes('in doubt')")
	b.choose("")

	t.Log("what a list says is text")
	b.fill("#words", "ONERROR  img")
	b.until("document.querySelector('#all tbody td:nth-child(2)').textContent === '" + hostile + "'")
	if js[bool](b, "'hacked' in window || !!document.querySelector('main img')") {
		t.Error("a name became markup")
	}
	b.fill("#words", "host-000")
	b.says("#shown", "1 to 50 of 98")
	b.click("#after")
	b.says("#shown", "51 to 98 of 98")

	t.Log("it sorts")
	b.fill("#words", "")
	b.until("document.querySelector('#shown').textContent.startsWith('1 to 50 of 300')")
	sort := "[...document.querySelectorAll('#all th button')].find(b => b.textContent === 'Name').click(), true"
	js[bool](b, sort)
	b.until("document.querySelector('#all th[aria-sort=ascending]')?.textContent === 'Name' && document.querySelector('#all tbody td:nth-child(2)').textContent.startsWith('<img')")
	js[bool](b, sort)
	b.until("document.querySelector('#all th[aria-sort=descending]') && document.querySelector('#all tbody td:nth-child(2)').textContent === 'host-00300.fleet.example'")

	pauses(c, b)
	catchesUp(c, b)

	t.Log("axe-core, and a narrow screen")
	b.fill("#words", "host-0000")
	b.says("#shown", "of 8")
	b.accessible("a run", "light", "dark")
	b.do(chromedp.EmulateViewport(320, 640))
	b.until("document.documentElement.scrollWidth <= 320 && document.querySelector('.plot canvas').clientWidth <= 320")
	b.accessible("a narrow screen", "light")
	b.do(chromedp.EmulateViewport(1200, 900))

	t.Log("it stops the run and shows how it ended")
	b.click("#stop")
	b.until("document.querySelector('#confirm').open")
	b.accessible("the question", "light", "dark")
	b.click("#yes")
	b.says("#status", "Stopping")
	c.gate.let(1000)
	b.says("#status", "The run has ended")
	second.says("#status", "The run has ended")
	if code := c.wait(); code != 143 {
		t.Errorf("exit code %d\n%s", code, &c.stderr)
	}
	if !strings.Contains(c.stderr.String(), "on the live page") {
		t.Errorf("it does not say who stopped it:\n%s", &c.stderr)
	}
	b.until("document.querySelector('#stop').disabled && document.querySelector('#words').disabled")
	b.says("#told", "The run has ended")
	b.accessible("the end", "light")
	cut := []string{"ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_SOCKET"}
	b.clean(c.link, cut...)
	second.clean(c.link, cut...)
	for _, v := range c.sim.Violations() {
		t.Error(v)
	}
}

// pauses asks, takes no for an answer, pauses, and goes on.
func pauses(c *campaign, b *tab) {
	c.t.Helper()
	c.t.Log("it pauses behind a question")
	b.do(chromedp.Focus(chromedp.CSS("#pause")), chromedp.KeyEvent(kb.Enter))
	b.until("document.querySelector('#confirm').open && document.activeElement.id === 'no'")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until("!document.querySelector('#confirm').open && document.activeElement.id === 'pause'")
	b.click("#pause")
	b.until("document.querySelector('#confirm').open")
	b.click("#yes")
	b.says("#status", "Paused by")
	b.says("#told", "Paused by")
	b.says("#pause", "Go on")
	c.gate.let(40)
	b.fact("Accepted or succeeded", "22") // those that its two workers had begun
	if machines, _ := c.sim.Effects(); machines > 24 {
		c.t.Errorf("%d machines while it is paused", machines)
	}
	b.click("#pause")
	b.until("document.querySelector('#confirm').open")
	b.click("#yes")
	b.fact("Accepted or succeeded", "60")
	b.says("#status", "Running")
}

// catchesUp cuts the browser off, and the page shows what has happened meanwhile.
func catchesUp(c *campaign, b *tab) {
	c.t.Helper()
	c.t.Log("it catches up after a lost connection")
	c.wires.set(true)
	b.says("#status", "connection is lost")
	b.until("document.querySelector('#stop').disabled")
	c.gate.let(20)
	c.wires.set(false)
	b.fact("Accepted or succeeded", "80")
	b.says("#status", "Running")
	b.until("!document.querySelector('#stop').disabled")
}
