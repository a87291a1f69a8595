package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// bound is how long anything is waited for, however loaded the machine is.
const bound = 2 * time.Minute

// tab is a page in a browser of its own: no storage is shared.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	problems []string // what the browser complains of
}

func openTab(t *testing.T, link string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	b.do(chromedp.EmulateViewport(1200, 900))
	b.scheme("light")
	b.do(chromedp.Navigate(link))
	return b
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.problems = append(b.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, fmt.Sprintf("%+v", *e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console.%s", e.Type))
	}
}

// clean fails when the page has asked another host for something, was kept from
// something by its policy, or threw. Expected are failures of its own requests.
func (b *tab) clean(link string, expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	page, err := url.Parse(link)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, asked := range b.requests {
		if u, err := url.Parse(asked); err != nil || u.Host != page.Host {
			b.t.Errorf("asked for %s", asked)
		}
	}
	if len(b.requests) < 10 {
		b.t.Errorf("only %d requests were seen", len(b.requests))
	}
	for _, p := range b.problems {
		known := false
		for _, e := range expected {
			known = known || strings.Contains(p, e)
		}
		if !known {
			b.t.Errorf("the browser says: %s", p)
		}
	}
}

// within ends what takes too long, but not the tab.
func (b *tab) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, bound)
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, stop := b.within()
	defer stop()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := b.within()
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.text("body"))
	}
}

// js is what an expression comes to.
func js[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, stop := b.within()
	defer stop()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v: %.200s", err, expression)
	}
	return value
}

// until waits for an expression to become true.
func (b *tab) until(expression string) {
	b.t.Helper()
	found, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(bound)))
	if err != nil || !found {
		b.t.Fatalf("never: %s: %v\n%s", expression, err, b.text("body"))
	}
}

func (b *tab) text(selector string) string {
	ctx, stop := b.within()
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q).innerText", selector)))
	if err != nil {
		return err.Error()
	}
	return text[:min(len(text), 1500)]
}

// says waits until an element's text has some words.
func (b *tab) says(selector, words string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector(%q)?.textContent.includes(%q)", selector, words))
}

// fact waits until a fact at a glance begins so.
func (b *tab) fact(name, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("[...document.querySelectorAll('#facts div')].some(d => d.querySelector('dt').textContent === %q && (d.querySelector('dd').textContent + ' ').startsWith(%q))", name, text+" "))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// fill has a field say something else.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	js[bool](b, fmt.Sprintf("(e => { e.value = %q; return e.dispatchEvent(new Event('input', {bubbles: true})) })(document.querySelector(%q))", text, selector))
}

func (b *tab) choose(state string) {
	b.t.Helper()
	js[bool](b, fmt.Sprintf("(s => { s.value = %q; return s.dispatchEvent(new Event('change', {bubbles: true})) })(document.querySelector('#state'))", state))
}

func (b *tab) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// accessible runs axe-core in colour schemes.
func (b *tab) accessible(where string, schemes ...string) {
	b.t.Helper()
	for _, scheme := range schemes {
		b.scheme(scheme)
		js[bool](b, axe+"; true")
		found := js[string](b, `axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
			.then(r => JSON.stringify({passes: r.passes.length, violations: r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 200) + " " + n.failureSummary)}))}))`)
		var report struct {
			Passes     int
			Violations []any
		}
		if err := json.Unmarshal([]byte(found), &report); err != nil {
			b.t.Fatal(err)
		}
		if len(report.Violations) > 0 || report.Passes < 15 {
			b.t.Errorf("%s, %s: %s", where, scheme, found)
		}
	}
	b.scheme("light")
}
