package browsertest

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"offboard/internal/simulator"
)

// TestScreenshots makes the pictures of the documents when OFFBOARD_SCREENSHOTS
// names their directory: of a campaign that has used up its calls of a minute, and
// goes on with the next ones.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("OFFBOARD_SCREENSHOTS")
	if dir == "" {
		t.Skip("made by 'make screenshots'")
	}
	c := newCampaign(t, simulator.Config{
		Machines: 400, Seed: 1, SettleAfter: -1, ListLag: 100 * time.Hour, Latency: 700 * time.Millisecond, Jitter: 500 * time.Millisecond,
		Faults: []simulator.Fault{
			{Kind: simulator.DropAfter, Nth: 31},
			{Kind: simulator.StatusBefore, Nth: 57, Status: 400, Code: "InvalidResourceId", Message: "the machine is not known"},
			{Kind: simulator.Throttle, Nth: 112, Wait: 2 * time.Second, Period: time.Minute},
		},
	})
	c.gate.let(1 << 20)
	c.run()
	b := openTab(t, c.link)
	for range 3 { // it takes more than two minutes
		if left := js[int](b, "Number([...document.querySelectorAll('#facts div')].find(d => d.firstChild.textContent === 'Left to send')?.lastChild.textContent ?? 400)"); left <= 160 {
			break
		}
		_, _ = chromedp.Run(b.ctx, chromedp.Poll[bool]("Number([...document.querySelectorAll('#facts div')].find(d => d.firstChild.textContent === 'Left to send')?.lastChild.textContent ?? 400) <= 160",
			chromedp.WithPollingInterval(time.Second), chromedp.WithPollingTimeout(bound)))
	}
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.picture(filepath.Join(dir, "live-page-"+scheme+".png"), 1180, 1400)
	}
	b.scheme("light")
	b.picture(filepath.Join(dir, "live-page-narrow.png"), 390, 844)
	c.interrupt()
}

func (b *tab) picture(path string, width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
	js[bool](b, "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
	ctx, stop := b.within()
	defer stop()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(full)); err != nil {
		b.t.Fatal(err)
	}
	if small.Len() > 150_000 {
		b.t.Errorf("%s has %d bytes", path, small.Len())
	}
	if err := os.WriteFile(path, small.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fewColours keeps the 256 colours that are there most.
func fewColours(full image.Image) image.Image {
	seen, bounds := map[color.Color]int{}, full.Bounds()
	each := func(f func(x, y int, c color.Color)) {
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				f(x, y, full.At(x, y))
			}
		}
	}
	each(func(_, _ int, c color.Color) { seen[c]++ })
	var palette color.Palette
	for c := range seen {
		palette = append(palette, c)
	}
	slices.SortFunc(palette, func(a, b color.Color) int { return cmp.Compare(seen[b], seen[a]) })
	palette = palette[:min(len(palette), 256)]
	nearest, few := map[color.Color]uint8{}, image.NewPaletted(bounds, palette)
	each(func(x, y int, c color.Color) {
		i, known := nearest[c]
		if !known {
			i = uint8(palette.Index(c))
			nearest[c] = i
		}
		few.SetColorIndex(x, y, i)
	})
	return few
}
